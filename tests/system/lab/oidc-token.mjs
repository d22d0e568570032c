// Gets, refreshes and kills tokens at the OpenID provider as a browser or a
// device would, and plays the person for a program under test. See usage().
// environment: RUN, CLIENT (default proxy), SCOPE
import fs from 'node:fs';
import path from 'node:path';
import crypto from 'node:crypto';

const { RUN } = process.env;
const readJson = (name) => JSON.parse(fs.readFileSync(path.join(RUN, name)));
const ISSUER = /^ISSUER=(.*)$/m.exec(
  fs.readFileSync(path.join(RUN, 'env'), 'utf8'),
)[1];
const [, , verb, arg, user] = process.argv;
const clientId = process.env.CLIENT
  || (verb === 'introspect' ? 'dovecot' : 'proxy');
const client = readJson('clients.json').find((c) => c.client_id === clientId);
const scope = process.env.SCOPE || 'openid offline_access mail';
const redirectUri = client.redirect_uris[0];
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

const print = (value) => console.log(JSON.stringify(value));
function fail(why) {
  console.error(why);
  process.exit(1);
}

// ---- what a client does
const meta = await (await fetch(
  `${ISSUER}/.well-known/openid-configuration`,
)).json();

function credentials() {
  if (!client.client_secret) return [{}, { client_id: client.client_id }];
  if (client.token_endpoint_auth_method === 'client_secret_post') {
    return [{}, {
      client_id: client.client_id, client_secret: client.client_secret,
    }];
  }
  const pair = [client.client_id, client.client_secret]
    .map(encodeURIComponent).join(':');
  return [{
    authorization: `Basic ${Buffer.from(pair).toString('base64')}`,
  }, {}];
}
async function post(url, fields) {
  const [headers, own] = credentials();
  const answer = await fetch(url, {
    method: 'POST',
    headers,
    body: new URLSearchParams({ ...own, ...fields }),
  });
  const text = await answer.text();
  if (!answer.ok) {
    console.log(text);
    process.exit(1);
  }
  return text ? JSON.parse(text) : { status: answer.status };
}

// ---- what a browser does: cookies, redirects inside the issuer
const jar = new Map();
// Debian 12's Node.js 18 has no getSetCookie and joins the headers by commas;
// a comma inside a date is followed by no "name=".
function cookieLines(headers) {
  if (headers.getSetCookie) return headers.getSetCookie();
  const all = headers.get('set-cookie');
  return all ? all.split(/,\s*(?=[^;,=\s]+=)/) : [];
}
function keepCookies(answer) {
  for (const line of cookieLines(answer.headers)) {
    const [name, ...value] = line.split(';')[0].split('=');
    if (value.join('=')) jar.set(name, value.join('='));
    else jar.delete(name);
  }
}
async function browse(start, fields) {
  let url = start;
  let body = fields && new URLSearchParams(fields);
  for (let hops = 0; hops < 20; hops += 1) {
    if (!url.startsWith(`${ISSUER}/`)) return { url };
    const answer = await fetch(url, {
      method: body ? 'POST' : 'GET',
      body,
      redirect: 'manual',
      headers: { cookie: [...jar].map((c) => c.join('=')).join('; ') },
    });
    keepCookies(answer);
    if (answer.status < 300 || answer.status >= 400) {
      return { url, status: answer.status, text: await answer.text() };
    }
    url = new URL(answer.headers.get('location'), url).href;
    body = undefined;
  }
  return fail('too many redirects');
}

// ---- what a person does: sign in and allow, until sent elsewhere
async function approve(start, address) {
  let page = start;
  for (let steps = 0; steps < 4; steps += 1) {
    const match = /action="(\/interaction\/[\w-]+\/(login|confirm))"/
      .exec(page.text || '');
    if (!match) return page;
    page = await browse(ISSUER + match[1], match[2] === 'login'
      ? { login: address, password: readJson('users.json')[address].password }
      : {});
    if (page.status === 403) fail('login refused');
  }
  return page;
}
async function approveDevice(userCode, address) {
  const start = `${ISSUER}/device`;
  const xsrf = (page) => /name="xsrf" value="([^"]+)"/.exec(page.text)[1];
  let page = await browse(start);
  page = await browse(start, { xsrf: xsrf(page), user_code: userCode });
  page = await browse(start,
    { xsrf: xsrf(page), user_code: userCode, confirm: 'yes' });
  page = await approve(page, address);
  if (page.status !== 200) fail('device code not approved');
}

// ---- the verbs
async function code(address) {
  const verifier = crypto.randomBytes(32).toString('base64url');
  const state = crypto.randomBytes(8).toString('hex');
  const query = new URLSearchParams({
    client_id: client.client_id,
    response_type: 'code',
    scope,
    redirect_uri: redirectUri,
    state,
    prompt: 'consent',
    code_challenge: crypto.createHash('sha256').update(verifier)
      .digest('base64url'),
    code_challenge_method: 'S256',
  });
  const end = await approve(
    await browse(`${meta.authorization_endpoint}?${query}`),
    address,
  );
  const answer = new URL(end.url).searchParams;
  if (answer.get('state') !== state || !answer.get('code')) fail('no code');
  return post(meta.token_endpoint, {
    grant_type: 'authorization_code',
    code: answer.get('code'),
    redirect_uri: redirectUri,
    code_verifier: verifier,
  });
}
async function device(address) {
  const grant = await post(meta.device_authorization_endpoint,
    { scope, prompt: 'consent' });
  await approveDevice(grant.user_code, address);
  return post(meta.token_endpoint,
    { grant_type: DEVICE, device_code: grant.device_code });
}
const verbs = {
  code: async () => print(await code(arg)),
  device: async () => print(await device(arg)),
  refresh: async () => print(await post(meta.token_endpoint,
    { grant_type: 'refresh_token', refresh_token: arg })),
  revoke: async () => print(
    await post(meta.revocation_endpoint, { token: arg }),
  ),
  introspect: async () => print(
    await post(meta.introspection_endpoint, { token: arg }),
  ),
  'approve-url': async () => {
    const end = await approve(await browse(arg), user);
    if (end.status) fail(`stopped at ${end.status}: ${end.text}`);
    console.log(end.url);
  },
  'approve-device': () => approveDevice(arg, user),
};
if (!verbs[verb]) {
  fail('code USER | device USER | refresh TOKEN | revoke TOKEN '
    + '| introspect TOKEN | approve-url URL USER | approve-device CODE USER');
}
await verbs[verb]();
