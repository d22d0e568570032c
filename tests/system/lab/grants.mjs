// Grants in which nobody signs in at a page: a password at the token endpoint
// (RFC 6749 §4.3), and a service account that acts for a user (RFC 7523).
import crypto from 'node:crypto';
import { jwtVerify } from 'jose';
import { errors } from 'oidc-provider';

async function answer(ctx, accountId, gty) {
  const { Grant, AccessToken } = ctx.oidc.provider;
  const { client, params } = ctx.oidc;
  const grant = new Grant({ accountId, clientId: client.clientId });
  grant.addOIDCScope(params.scope);
  const token = new AccessToken({
    accountId, client, gty, grantId: await grant.save(), scope: params.scope,
  });
  ctx.oidc.entity('Grant', grant);
  ctx.oidc.entity('AccessToken', token);
  ctx.body = {
    access_token: await token.save(),
    expires_in: token.expiration,
    token_type: token.tokenType,
    scope: params.scope,
  };
}

async function password(ctx, next, users) {
  const { username, password: given } = ctx.oidc.params;
  const user = users[username];
  if (!user || user.disabled || user.password !== given) {
    throw new errors.InvalidGrant('wrong user name or password');
  }
  // As services older than scopes have it: the resource says all.
  if (!ctx.oidc.params.scope && ctx.oidc.params.resource) {
    ctx.oidc.params.scope = 'mail';
  }
  await answer(ctx, username, 'password');
  return next();
}

async function serviceAccount(ctx, next, users, keys) {
  const { assertion, scope } = ctx.oidc.params;
  let claims;
  try {
    ({ payload: claims } = await jwtVerify(assertion, ({ kid }) => {
      if (!keys[kid]) throw new Error('unknown key');
      return crypto.createPublicKey(keys[kid]);
    }, { audience: `${ctx.oidc.issuer}/token`, clockTolerance: 5 }));
  } catch (e) {
    throw new errors.InvalidGrant(`Invalid JWT Signature: ${e.message}`);
  }
  if (!users[claims.sub] || claims.scope !== (scope || claims.scope)) {
    throw new errors.InvalidGrant('Invalid email or User ID');
  }
  ctx.oidc.params.scope = claims.scope;
  await answer(ctx, claims.sub, 'jwt-bearer');
  return next();
}

// keys(): {key id: public key in PEM} of the service accounts.
export function addGrants(provider, users, keys) {
  provider.registerGrantType('password',
    (ctx, next) => password(ctx, next, users),
    ['username', 'password', 'scope', 'resource'], []);
  provider.registerGrantType('urn:ietf:params:oauth:grant-type:jwt-bearer',
    (ctx, next) => serviceAccount(ctx, next, users, keys()),
    ['assertion', 'scope'], []);
}

// What a client signed its request with, as its assertion says.
export function assertionHeader(params) {
  const jwt = params?.client_assertion || params?.assertion;
  if (!jwt) return undefined;
  return JSON.parse(Buffer.from(jwt.split('.')[0], 'base64url'));
}
