// oidc-provider, a certified OpenID Provider, as a peer for the tests in ../browser.
//
//   OIDC_CONFIG='{"clients": [...], "accessTokenTtl": 60}' node server.mjs
//
// OIDC_CONFIG: `clients` (oidc-provider's client metadata), `port` (default 0: any free one),
// `accessTokenTtl` and `refreshTokenTtl` in seconds (default an hour and 14 days), `tokenDelay` in milliseconds: how long
// the token endpoint waits before it looks at a request, `tls` ({cert, key} in PEM): speaks https.
// One line of JSON on standard output says where it is: {"issuer": "http://localhost:PORT"}.
// It ends on SIGTERM, and as soon as its standard input closes: it can't outlive the test that started it.
//
// Any login name is an account. Beside the provider there are three routes for the tests, on loopback like the rest:
//   GET /-/issued    every secret that went out or came in: [{kind, value}]
//   GET /-/requests  every request at the token and revocation endpoints: [{endpoint, grantType, clientId, status, error}]
//   GET /-/logouts   what clients answered to back-channel logouts: [{clientId, ok}]

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import process from 'node:process';

import Provider from 'oidc-provider';

// Standard output belongs to the one line above.
console.info = console.log = console.error;

const {
  clients = [],
  port = 0,
  accessTokenTtl = 3600,
  refreshTokenTtl = 14 * 24 * 3600,
  tokenDelay = 0,
  tls,
} = JSON.parse(process.env.OIDC_CONFIG ?? '{}');

const issued = new Map();
const requests = [];
const logouts = [];

function note(kind, value) {
  if (typeof value === 'string' && value !== '' && !issued.has(value)) issued.set(value, kind);
}

// The adapter that comes with oidc-provider forgets after about a thousand entries; a long run needs all of them.
const records = new Map();
const grantMembers = new Map();
const secretModels = new Set(['AccessToken', 'AuthorizationCode', 'ClientCredentials', 'RefreshToken', 'Session']);

class Adapter {
  constructor(model) {
    this.model = model;
  }

  key(id) {
    return `${this.model}:${id}`;
  }

  async upsert(id, payload, expiresIn) {
    if (secretModels.has(this.model)) note(this.model, id);
    const key = this.key(id);
    const until = expiresIn ? Date.now() + expiresIn * 1000 : Infinity;
    records.set(key, { payload, until });
    if (payload.grantId) {
      if (!grantMembers.has(payload.grantId)) grantMembers.set(payload.grantId, new Set());
      grantMembers.get(payload.grantId).add(key);
    }
  }

  async find(id) {
    const record = records.get(this.key(id));
    return record && record.until > Date.now() ? record.payload : undefined;
  }

  async findByUid(uid) {
    return this.first((payload) => payload.uid === uid);
  }

  async findByUserCode(userCode) {
    return this.first((payload) => payload.userCode === userCode);
  }

  first(matches) {
    for (const [key, { payload, until }] of records) {
      if (key.startsWith(`${this.model}:`) && until > Date.now() && matches(payload)) return payload;
    }
    return undefined;
  }

  async consume(id) {
    const record = records.get(this.key(id));
    if (record) record.payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    records.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const key of grantMembers.get(grantId) ?? []) records.delete(key);
    grantMembers.delete(grantId);
  }
}

function signingKey(type, options, alg) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: `${alg.toLowerCase()}-1` };
}

const server = tls ? createSecureServer(tls) : createServer();
await new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));

// The application is at 127.0.0.1 and the provider at localhost, so that cookies and SameSite see two sites.
const issuer = `${tls ? 'https' : 'http'}://localhost:${server.address().port}`;

const provider = new Provider(issuer, {
  adapter: Adapter,
  clients,
  clientDefaults: { grant_types: ['authorization_code', 'refresh_token'] },
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  jwks: {
    keys: [signingKey('rsa', { modulusLength: 2048 }, 'RS256'), signingKey('ec', { namedCurve: 'P-256' }, 'ES256')],
  },
  pkce: { required: () => true },
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  claims: { openid: ['sub'], profile: ['name', 'preferred_username'], email: ['email', 'email_verified'] },
  features: {
    backchannelLogout: { enabled: true },
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  // The clients are on loopback, where the dispatcher that comes with a request refuses to go.
  fetch: (url, { dispatcher: _, ...request }) => {
    note('logout_token', new URLSearchParams(String(request.body ?? '')).get('logout_token'));
    return globalThis.fetch(url, request);
  },
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: `${id} of the tests`,
      preferred_username: id,
      email: `${id}@example.test`,
      email_verified: true,
    }),
  }),
  // Otherwise a confidential client's refresh token rotates only after 70 % of its life.
  rotateRefreshToken: () => true,
  ttl: {
    AccessToken: accessTokenTtl,
    ClientCredentials: accessTokenTtl,
    Grant: refreshTokenTtl,
    IdToken: 3600,
    Interaction: 3600,
    RefreshToken: refreshTokenTtl,
    Session: refreshTokenTtl,
  },
});

provider.use(async (ctx, next) => {
  if (ctx.path === '/token' && tokenDelay > 0) await new Promise((resolve) => setTimeout(resolve, tokenDelay));
  await next();
  if (ctx.path !== '/token' && ctx.path !== '/token/revocation') return;
  const { params, client } = ctx.oidc ?? {};
  requests.push({
    endpoint: ctx.path === '/token' ? 'token' : 'revocation',
    grantType: params?.grant_type ?? null,
    clientId: client?.clientId ?? null,
    status: ctx.status,
    error: ctx.body?.error ?? null,
  });
  note('code_verifier', params?.code_verifier);
  for (const kind of ['access_token', 'refresh_token', 'id_token']) note(kind, ctx.body?.[kind]);
});

provider.on('backchannel.success', (_ctx, client) => logouts.push({ clientId: client.clientId, ok: true }));
provider.on('backchannel.error', (_ctx, error, client) => {
  logouts.push({ clientId: client.clientId, ok: false });
  console.error('back-channel logout:', error.stack);
});
provider.on('server_error', (_ctx, error) => console.error('server error:', error.stack));

const answer = provider.callback();
const forTests = {
  '/-/issued': () => [...issued].map(([value, kind]) => ({ kind, value })),
  '/-/requests': () => requests,
  '/-/logouts': () => logouts,
};

server.on('request', (request, response) => {
  const list = forTests[request.url];
  if (!list) return answer(request, response);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(list()));
});

const end = () => process.exit(0);
process.once('SIGTERM', end);
process.once('SIGINT', end);
process.stdin.once('end', end).once('error', end).resume();

process.stdout.write(`${JSON.stringify({ issuer })}\n`);
