// Storage of the OpenID provider: in memory, written to disk so that tokens
// outlive a restart. Also what an administrator does to it: revokeUser.
import fs from 'node:fs';

const now = () => Math.floor(Date.now() / 1000);

const grantable = new Set(['AccessToken', 'AuthorizationCode', 'RefreshToken',
  'DeviceCode', 'BackchannelAuthenticationRequest']);

export class Store {
  constructor(file) {
    this.file = file;
    this.map = fs.existsSync(file)
      ? new Map(JSON.parse(fs.readFileSync(file))) : new Map();
    this.dirty = false;
    setInterval(() => this.flush(), 200).unref();
  }

  flush() {
    if (!this.dirty) return;
    this.dirty = false;
    fs.writeFileSync(`${this.file}.tmp`, JSON.stringify([...this.map]),
      { mode: 0o600 });
    fs.renameSync(`${this.file}.tmp`, this.file);
  }

  put(key, value, ttl) {
    this.map.set(key, { v: value, exp: ttl ? now() + ttl : 0 });
    this.dirty = true;
  }

  get(key) {
    const entry = this.map.get(key);
    if (!entry) return undefined;
    if (entry.exp && entry.exp < now()) {
      this.del(key);
      return undefined;
    }
    return entry.v;
  }

  del(key) {
    this.map.delete(key);
    this.dirty = true;
  }

  consume(key) {
    const value = this.get(key);
    if (value) {
      value.consumed = now();
      this.dirty = true;
    }
  }

  revokeGrant(grantId) {
    for (const key of this.get(`grant:${grantId}`) || []) this.del(key);
    this.del(`grant:${grantId}`);
  }

  // Signed out everywhere: all grants of one user die, tokens and all.
  revokeUser(user) {
    let count = 0;
    for (const [key, entry] of [...this.map]) {
      if (key.startsWith('Grant:') && entry.v.accountId === user) {
        this.revokeGrant(key.slice('Grant:'.length));
        this.del(key);
        count += 1;
      }
    }
    return count;
  }

  // The access tokens of one user die, her refresh tokens live.
  expireAccess(user) {
    let count = 0;
    for (const [key, entry] of [...this.map]) {
      if (key.startsWith('AccessToken:') && entry.v.accountId === user) {
        this.del(key);
        count += 1;
      }
    }
    return count;
  }

  // How many of each kind are valid and unused.
  live() {
    const count = {};
    for (const [key, entry] of this.map) {
      const kind = key.split(':')[0];
      if ((!entry.exp || entry.exp >= now()) && !entry.v.consumed) {
        count[kind] = (count[kind] || 0) + 1;
      }
    }
    return count;
  }
}

// The adapter class oidc-provider instantiates once for each kind of object.
export const adapterFor = (store) => class Adapter {
  constructor(model) { this.model = model; }

  key(id) { return `${this.model}:${id}`; }

  async destroy(id) { store.del(this.key(id)); }

  async consume(id) { store.consume(this.key(id)); }

  async find(id) { return store.get(this.key(id)); }

  async findByUid(uid) {
    const id = store.get(`uid:${uid}`);
    return id && this.find(id);
  }

  async findByUserCode(code) {
    const id = store.get(`uc:${code}`);
    return id && this.find(id);
  }

  async upsert(id, payload, ttl) {
    const key = this.key(id);
    if (this.model === 'Session') store.put(`uid:${payload.uid}`, id, ttl);
    if (payload.userCode) store.put(`uc:${payload.userCode}`, id, ttl);
    if (grantable.has(this.model) && payload.grantId) {
      const members = store.get(`grant:${payload.grantId}`) || [];
      members.push(key);
      store.put(`grant:${payload.grantId}`, members, 0);
    }
    store.put(key, payload, ttl);
  }

  async revokeByGrantId(grantId) { store.revokeGrant(grantId); }
};
