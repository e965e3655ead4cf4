"""A server of OAuth 1.0a out of oauthlib, for tests: whatever judges the client here was not written for it.

    python3 server.py --port PORT --public-key PEM

It answers on loopback only and keeps everything in memory. Its user allows everything; an authorization address with
`decision=deny` is refused. `/log` tells which requests for the API were verified, by method and place.
"""

import argparse
import base64
import hashlib
import hmac
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, urlencode, urlsplit

from oauthlib.oauth1 import RequestValidator, WebApplicationServer

CLIENT_KEY = "keyOfTheClient0123456789"
# Nothing in it needs an escape: oauthlib decodes what stands in a query or form twice, and PLAINTEXT would not fit.
CLIENT_SECRET = "secret-of-the-client-0123456789"
REALM = "Photos"
USER = {"user_id": "7", "screen_name": "J\u00f6rg & Co"}
METHODS = ["HMAC-SHA1", "HMAC-SHA256", "RSA-SHA1", "RSA-SHA256", "PLAINTEXT"]


class Memory(RequestValidator):
    """What the server knows. oauthlib asks it."""

    enforce_ssl = False  # loopback
    realms = [REALM]
    allowed_signature_methods = METHODS
    dummy_client = dummy_request_token = dummy_access_token = "dummyDummyDummyDummyDummy"

    def __init__(self, public_key):
        super().__init__()
        self.public_key = public_key
        self.lock = Lock()
        self.request_tokens = {}
        self.access_tokens = {}
        self.nonces = set()
        self.log = []

    def get_client_secret(self, client_key, request):
        return CLIENT_SECRET if client_key == CLIENT_KEY else "dummy"

    def get_rsa_key(self, client_key, request):
        return self.public_key

    def get_request_token_secret(self, client_key, token, request):
        return self.request_tokens.get(token, {}).get("oauth_token_secret", "dummy")

    def get_access_token_secret(self, client_key, token, request):
        return self.access_tokens.get(token, {}).get("oauth_token_secret", "dummy")

    def get_default_realms(self, client_key, request):
        return []

    def get_realms(self, token, request):
        return []

    def get_redirect_uri(self, token, request):
        return self.request_tokens[token]["callback"]

    def invalidate_request_token(self, client_key, request_token, request):
        self.request_tokens.pop(request_token, None)

    def validate_client_key(self, client_key, request):
        return client_key == CLIENT_KEY

    def validate_request_token(self, client_key, token, request):
        return token in self.request_tokens

    def validate_access_token(self, client_key, token, request):
        if token not in self.access_tokens:
            request.problem = "token_rejected"
            return False
        return True

    def validate_timestamp_and_nonce(self, client_key, timestamp, nonce, request, request_token=None, access_token=None):
        if abs(time.time() - int(timestamp)) > self.timestamp_lifetime:
            request.problem = "timestamp_refused"
            return False
        with self.lock:
            if (timestamp, nonce) in self.nonces:
                request.problem = "nonce_used"
                return False
            self.nonces.add((timestamp, nonce))
        return True

    def validate_redirect_uri(self, client_key, redirect_uri, request):
        return redirect_uri == "oob" or redirect_uri.startswith("http://127.0.0.1:")

    def validate_requested_realms(self, client_key, realms, request):
        return True

    def validate_realms(self, client_key, token, request, uri=None, realms=None):
        return True

    def verify_request_token(self, token, request):
        return token in self.request_tokens

    def verify_realms(self, token, realms, request):
        return True

    def validate_verifier(self, client_key, token, verifier, request):
        expected = self.request_tokens.get(token, {}).get("verifier")
        return expected is not None and hmac.compare_digest(expected, verifier)

    def save_request_token(self, token, request):
        self.request_tokens[token["oauth_token"]] = dict(token, callback=request.redirect_uri)

    def save_verifier(self, token, verifier, request):
        self.request_tokens[token]["verifier"] = verifier["oauth_verifier"]

    def save_access_token(self, token, request):
        self.access_tokens[token["oauth_token"]] = dict(token)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Requests hold secrets."""

    def reply(self, status, body="", headers=None):
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def parts(self):
        """The request as oauthlib takes it."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        uri = f"http://{self.headers['Host']}{self.path}"
        headers = {name.title(): value for name, value in self.headers.items()}
        return uri, self.command, body, headers

    def handle_one(self):
        uri, method, body, headers = self.parts()
        path = urlsplit(uri).path
        text = body.decode("utf-8", "replace")
        if path == "/log":
            self.reply(200, json.dumps(self.server.memory.log), {"Content-Type": "application/json"})
        elif path == "/initiate":
            made = self.server.oauth.create_request_token_response(uri, method, text, headers)
            self.reply(made[2], made[1] or "", made[0])
        elif path == "/authorize":
            self.authorize(uri)
        elif path == "/token":
            made = self.server.oauth.create_access_token_response(uri, method, text, headers, credentials=USER)
            self.reply(made[2], made[1] or "", made[0])
        else:
            self.api(uri, method, body, text, headers)

    def authorize(self, uri):
        query = parse_qs(urlsplit(uri).query)
        token = query["oauth_token"][0]
        callback = self.server.memory.request_tokens[token]["callback"]
        if query.get("decision") == ["deny"]:
            self.reply(302, "", {"Location": f"{callback}?{urlencode({'denied': token})}"})
            return
        headers, page, status = self.server.oauth.create_authorization_response(uri, "GET", "", {}, [])
        self.reply(status, page or "", headers)

    def api(self, uri, method, body, text, headers):
        valid, request = self.server.oauth.validate_protected_resource_request(uri, method, text, headers, [])
        if valid and request.oauth_params.get("oauth_body_hash") is not None:
            sha = hashlib.sha256 if "SHA256" in request.signature_method else hashlib.sha1
            expected = base64.b64encode(sha(body).digest()).decode()
            valid = hmac.compare_digest(expected, request.oauth_params["oauth_body_hash"])
        if not valid:
            problem = getattr(request, "problem", None) or "signature_invalid"
            self.reply(401, "", {"WWW-Authenticate": f'OAuth realm="{REALM}", oauth_problem="{problem}"'})
            return
        if urlsplit(uri).path == "/api/redirect":
            self.reply(302, "", {"Location": "/api/me?after=redirect"})
            return
        header = headers.get("Authorization", "").startswith("OAuth ")
        place = "HEADER" if header else "QUERY" if "oauth_nonce" in urlsplit(uri).query else "BODY"
        seen = {
            "signature_method": request.signature_method,
            "place": place,
            "method": method,
            "path": urlsplit(uri).path,
            "query": urlsplit(uri).query,
            "body": text,
            "realm": f'realm="{REALM}"' in headers.get("Authorization", ""),
            "body_hash": request.oauth_params.get("oauth_body_hash"),
        }
        self.server.memory.log.append(seen)
        self.reply(200, json.dumps(seen), {"Content-Type": "application/json"})

    do_GET = do_POST = do_PUT = do_DELETE = handle_one


class Server(ThreadingHTTPServer):
    """The listener, and what its requests share."""

    daemon_threads = True

    def __init__(self, port, public_key):
        super().__init__(("127.0.0.1", port), Handler)
        self.memory = Memory(public_key)
        self.oauth = WebApplicationServer(self.memory)


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--public-key", required=True)
    options = arguments.parse_args()
    with open(options.public_key, encoding="ascii") as file:
        Server(options.port, file.read()).serve_forever()


if __name__ == "__main__":
    main()
