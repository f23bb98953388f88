import type { App } from '../api/typed.js';
import { ApiError } from '../errors.js';

/** Tells a wrong method from a wrong address. Register after the guard, which answers browsers that ask beforehand, and before the routes. */
export function methods(app: App): void {
  const routes = new RouteMethods();
  app.addHook('onRoute', ({ url, method }) => routes.add(url, [method].flat()));
  app.addHook('onRequest', (request, reply, done) => {
    const allowed = request.is404 ? routes.at(request.url.split('?')[0] ?? '') : [];
    if (allowed.length === 0) return done();
    const list = allowed.join(', ');
    reply.header('allow', list);
    done(new ApiError('method_not_allowed', { message: `This address takes ${list} only.` }));
  });
}

/** Which methods an address takes, so that the wrong one can be told from a wrong address. */
class RouteMethods {
  readonly #methods = new Map<string, { readonly pattern: RegExp; readonly methods: Set<string> }>();

  /** @param url of a route, with parameters such as `:id` */
  add(url: string, methods: readonly string[]): void {
    // What is served below a prefix says nothing about addresses that are not there.
    if (url.includes('*')) return;
    let entry = this.#methods.get(url);
    if (!entry) {
      const pattern = url.split('/').map((part) => (part.startsWith(':') ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))).join('/');
      this.#methods.set(url, (entry = { pattern: new RegExp(`^${pattern}$`), methods: new Set() }));
    }
    for (const method of methods) entry.methods.add(method);
  }

  at(path: string): string[] {
    const found = [...this.#methods.values()].filter(({ pattern }) => pattern.test(path));
    return [...new Set(found.flatMap(({ methods }) => [...methods]))].sort();
  }
}
