// A real OpenID provider (npm oidc-provider, OpenID-certified) for tests.
// Listens on 127.0.0.1: the provider (HTTPS) and a control port (HTTP).
//	node oidc-server.mjs RUN BASE [opaque|jwt]
import fs from 'node:fs';
import path from 'node:path';
import http from 'node:http';
import https from 'node:https';
import crypto from 'node:crypto';
import Provider from 'oidc-provider';
import { Store, adapterFor } from './store.mjs';
import { Faults } from './faults.mjs';
import { addGrants } from './grants.mjs';

const [, , RUN, BASE, MODE = 'opaque'] = process.argv;
const PORT = Number(BASE) + 443;
const CONTROL = Number(BASE) + 444;
const ISSUER = process.env.ISSUER || `https://localhost:${PORT}`;
const inRun = (name) => path.join(RUN, name);
const readJson = (name) => JSON.parse(fs.readFileSync(inRun(name)));

const users = readJson('users.json'); // {address: {password, disabled}}
const store = new Store(inRun('oidc-db.json'));
const faults = new Faults();

const settings = { // changed while running by POST /set
  accessTTL: Number(process.env.ACCESS_TTL || 3600),
  refreshTTL: Number(process.env.REFRESH_TTL || 14 * 86400),
  rotate: process.env.ROTATE !== '0',
};

// ---- the signing key is kept across restarts
function signingKeys() {
  if (!fs.existsSync(inRun('jwks.json'))) {
    const pair = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = pair.privateKey.export({ format: 'jwk' });
    fs.writeFileSync(inRun('jwks.json'), JSON.stringify(
      { keys: [{ ...jwk, use: 'sig', alg: 'RS256', kid: 'k1' }] },
    ), { mode: 0o600 });
    fs.writeFileSync(inRun('jwt-pub.pem'),
      pair.publicKey.export({ type: 'spki', format: 'pem' }));
  }
  return readJson('jwks.json');
}

// ---- the provider
const jwt = MODE === 'jwt';
const resourceIndicators = {
  enabled: true,
  defaultResource: () => 'urn:test:mail',
  useGrantedResource: () => true,
  getResourceServerInfo: () => ({
    scope: 'mail',
    audience: 'mail',
    accessTokenTTL: settings.accessTTL,
    accessTokenFormat: 'jwt',
    jwt: { sign: { alg: 'RS256', kid: 'k1' } },
  }),
};
const provider = new Provider(ISSUER, {
  adapter: adapterFor(store),
  clients: readJson('clients.json'),
  jwks: signingKeys(),
  cookies: { keys: ['test-cookie-key'] },
  scopes: ['openid', 'offline_access', 'email', ...(jwt ? [] : ['mail'])],
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: false,
  clientBasedCORS: () => true,
  pkce: { required: (ctx, client) => client.clientAuthMethod === 'none' },
  features: {
    devInteractions: { enabled: false },
    deviceFlow: { enabled: true },
    clientCredentials: { enabled: true },
    revocation: { enabled: true },
    introspection: {
      enabled: true,
      // Only the mail server may introspect, and only access tokens count.
      allowedPolicy: (ctx, client, token) => client.clientId === 'dovecot'
        && (token.kind === 'ClientCredentials'
          || (token.kind === 'AccessToken'
            && !users[token.accountId]?.disabled)),
    },
    rpInitiatedLogout: { enabled: false },
    ...(jwt ? { resourceIndicators } : {}),
  },
  ttl: {
    AccessToken: () => settings.accessTTL,
    RefreshToken: () => settings.refreshTTL,
    AuthorizationCode: 60,
    DeviceCode: 600,
    Grant: 365 * 86400,
    Session: 86400,
    Interaction: 3600,
    IdToken: 3600,
  },
  // Dovecot 2.3 validates only typ JWT locally, not RFC 9068's at+jwt.
  formats: {
    customizers: {
      jwt: (ctx, token, parts) => {
        parts.header = { ...parts.header, typ: 'JWT' };
      },
    },
  },
  rotateRefreshToken: () => settings.rotate,
  // An application has the mailbox that its entry names.
  extraClientMetadata: { properties: ['mailbox'] },
  extraTokenClaims: (ctx, token) => ({
    email: token.accountId || ctx.oidc.client.mailbox,
  }),
  findAccount: async (ctx, id) => {
    if (!users[id] || users[id].disabled) return undefined;
    return {
      accountId: id,
      claims: () => ({ sub: id, email: id, email_verified: true }),
    };
  },
  interactions: { url: (ctx, i) => `/interaction/${i.uid}` },
});
addGrants(provider, users, () => readJson('service-keys.json'));
provider.use(faults.middleware());
provider.on('server_error', (ctx, e) => console.error('server_error', e));

// ---- the pages a person sees: sign in, allow
async function readBody(req) {
  let body = '';
  for await (const chunk of req) {
    body += chunk;
    if (body.length > 65536) throw new Error('form too large');
  }
  return body;
}
const escapeHtml = (s) => String(s).replace(/[&<>"']/g,
  (c) => `&#${c.charCodeAt(0)};`);
const page = (res, status, body) => {
  res.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
  });
  res.end(`<!doctype html><title>Test provider</title>${body}`);
};
const form = (uid, verb, inner) => `<form method=post `
  + `action="/interaction/${uid}/${verb}">${inner}</form>`;

function show(res, uid, details) {
  const { prompt, params } = details;
  const abort = form(uid, 'abort', '<button>Cancel</button>');
  if (prompt.name === 'login') {
    return page(res, 200, `<h1>Sign in</h1>${form(uid, 'login',
      '<input name=login><input name=password type=password>'
      + '<button>Sign in</button>')}${abort}`);
  }
  return page(res, 200, `<h1>Allow ${escapeHtml(params.client_id)}?</h1>`
    + `<p>${escapeHtml(params.scope)}</p>`
    + `${form(uid, 'confirm', '<button>Allow</button>')}${abort}`);
}

async function confirm(req, res, details) {
  const grant = (details.grantId && await provider.Grant.find(details.grantId))
    || new provider.Grant({
      accountId: details.session.accountId,
      clientId: details.params.client_id,
    });
  const missing = details.prompt.details;
  if (missing.missingOIDCScope) {
    grant.addOIDCScope(missing.missingOIDCScope.join(' '));
  }
  if (missing.missingOIDCClaims) grant.addOIDCClaims(missing.missingOIDCClaims);
  for (const [name, scopes]
    of Object.entries(missing.missingResourceScopes || {})) {
    grant.addResourceScope(name, scopes.join(' '));
  }
  const grantId = await grant.save();
  return provider.interactionFinished(req, res,
    { consent: details.grantId ? {} : { grantId } },
    { mergeWithLastSubmission: true });
}

async function interaction(req, res, uid, verb) {
  const details = await provider.interactionDetails(req, res);
  const finish = (result) => provider.interactionFinished(req, res, result,
    { mergeWithLastSubmission: false });
  if (req.method === 'GET') return show(res, uid, details);
  if (verb === 'abort') return finish({ error: 'access_denied' });
  if (verb === 'confirm') return confirm(req, res, details);
  const f = Object.fromEntries(new URLSearchParams(await readBody(req)));
  const user = users[f.login];
  if (!user || user.disabled || user.password !== f.password) {
    return page(res, 403, '<p>wrong login</p>');
  }
  return finish({ login: { accountId: f.login } });
}

const callback = provider.callback();
const main = https.createServer({
  key: fs.readFileSync(inRun('tls/server.key')),
  cert: fs.readFileSync(inRun('tls/server.crt')),
}, (req, res) => {
  const match = /^\/interaction\/([\w-]+)(?:\/(login|confirm|abort))?$/
    .exec(req.url);
  if (match) {
    interaction(req, res, match[1], match[2])
      .catch((e) => page(res, 400, escapeHtml(e.message)));
  } else callback(req, res);
});

// ---- the control port: one row for each order
const setDisabled = (query, value) => {
  users[query.user].disabled = value;
  return { ok: true };
};
const orders = {
  'POST /fault': (query, body) => {
    faults.list.push(JSON.parse(body));
    return faults.list;
  },
  'GET /faults': () => faults.list,
  'POST /clear': () => { faults.list.length = 0; return { ok: true }; },
  'POST /revoke-user': (q) => ({ revoked: store.revokeUser(q.user) }),
  'POST /expire-access': (q) => ({ expired: store.expireAccess(q.user) }),
  'POST /disable': (query) => setDisabled(query, true),
  'POST /enable': (query) => setDisabled(query, false),
  'POST /set': (query) => {
    for (const [key, value] of Object.entries(query)) {
      settings[key] = /^(true|false)$/.test(value)
        ? value === 'true' : Number(value);
    }
    return settings;
  },
  'POST /reset-log': () => { faults.reset(); return { ok: true }; },
  'GET /log': () => faults.log,
  'GET /counters': () => faults.counters,
  'GET /settings': () => ({ ...settings, mode: MODE, issuer: ISSUER }),
  'GET /live': () => store.live(),
};
const control = http.createServer(async (req, res) => {
  const url = new URL(req.url, 'http://control');
  const order = orders[`${req.method} ${url.pathname}`];
  let status = 200;
  let answer;
  try {
    const body = await readBody(req);
    if (order) answer = order(Object.fromEntries(url.searchParams), body);
    else [status, answer] = [404, { error: 'no such order' }];
  } catch (e) {
    [status, answer] = [400, { error: e.message }];
  }
  store.flush();
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(`${JSON.stringify(answer)}\n`);
});

main.listen(PORT, '127.0.0.1', () => control.listen(CONTROL, '127.0.0.1',
  () => console.log(`ready ${ISSUER} mode=${MODE}`)));
for (const signal of ['SIGTERM', 'SIGINT']) {
  process.on(signal, () => { store.flush(); process.exit(0); });
}
