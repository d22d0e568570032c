// Stands in front of the OpenID provider: spoils answers on order, and keeps a
// log without secrets of what was asked.
import { assertionHeader } from './grants.mjs';

const LOG_LIMIT = 20000;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

export class Faults {
  constructor() {
    // {path, status, body, headers, delay_ms, drop, after, times}
    this.list = [];
    this.reset();
  }

  reset() {
    this.log = [];
    this.counters = {};
  }

  take(path) {
    const fault = this.list.find((f) => path === f.path
      && (f.times === undefined || f.times > 0));
    if (fault && fault.times !== undefined) fault.times -= 1;
    return fault;
  }

  note(entry) {
    if (this.log.length < LOG_LIMIT) this.log.push(entry);
  }

  // Does what the fault says; false if the provider shall answer after all.
  async spoil(fault, ctx, next) {
    if (fault.delay_ms) await sleep(fault.delay_ms);
    // The work is done, and then the reply is lost or replaced.
    if (fault.after) await next();
    if (fault.drop) {
      ctx.respond = false;
      ctx.req.socket.destroy();
    } else if (fault.status) {
      ctx.status = fault.status;
      ctx.set(fault.headers || {});
      ctx.body = fault.body ?? { error: 'temporarily_unavailable' };
    } else {
      return Boolean(fault.after);
    }
    this.note({ path: ctx.path, fault: fault.drop ? 'drop' : fault.status });
    return true;
  }

  middleware() {
    return async (ctx, next) => {
      const start = Date.now();
      const fault = this.take(ctx.path);
      if (fault && await this.spoil(fault, ctx, next)) return;
      await next();
      const grant = ctx.oidc?.params?.grant_type;
      const key = `${ctx.path}${grant ? `:${grant}` : ''}`
        + `:${ctx.body?.error || ctx.status}`;
      this.counters[key] = (this.counters[key] || 0) + 1;
      this.note({
        ms: Date.now() - start,
        method: ctx.method,
        path: ctx.path,
        status: ctx.status,
        client: ctx.oidc?.client?.clientId,
        grant_type: grant,
        resource: ctx.oidc?.params?.resource,
        signed: assertionHeader(ctx.oidc?.params),
        error: ctx.body?.error,
      });
    };
  }
}
