"""Authlib's own client, as its Flask integration drives it, without Flask: what a login and a call cost it.

Reads a command a line and answers a line. The session is a dictionary, as Flask's is between its cookies.
"""

import os
import sys
from urllib.parse import parse_qs, urlsplit

from authlib.integrations.base_client import BaseApp, FrameworkIntegration, OAuth2Mixin, OpenIDMixin
from authlib.integrations.requests_client import OAuth2Session


class App(OAuth2Mixin, OpenIDMixin, BaseApp):
    client_cls = OAuth2Session


REDIRECT_URI = os.environ["REDIRECT_URI"]
session = {}
op = App(
    FrameworkIntegration("op"),
    name="op",
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
    server_metadata_url=os.environ["ISSUER"] + "/.well-known/openid-configuration",
    api_base_url=os.environ["API_BASE_URL"],
    client_kwargs={"scope": "openid offline_access", "code_challenge_method": "S256"},
)


def answer(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def log_in():
    started = op.create_authorization_url(REDIRECT_URI)
    state = started.pop("state")
    op.framework.set_state_data(session, state, {"redirect_uri": REDIRECT_URI, **started})
    answer(started["url"])
    back = parse_qs(urlsplit(sys.stdin.readline().strip()).query)
    state = back["state"][0]
    data = op.framework.get_state_data(session, state)
    op.framework.clear_state_data(session, state)
    params = op._format_state_params(data, {"code": back["code"][0], "state": state})
    token = op.fetch_access_token(**params)
    token["userinfo"] = op.parse_id_token(token, nonce=data["nonce"])
    assert token["userinfo"]["sub"] == "alice"
    answer("done")
    return token


token = None
for line in iter(sys.stdin.readline, ""):
    if line.startswith("login"):
        token = log_in()
    else:
        for _ in range(int(line)):
            response = op.get("me", token=token)
            assert response.json()["sub"] == "alice"
        answer("done")
