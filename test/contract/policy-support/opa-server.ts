import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseJson } from '../../../src/policy/values/json.ts';
import { toJsonText } from '../../../src/policy/values/json-text.ts';
import { isArray, isObject, memberOf } from '../../../src/policy/values/object.ts';
import type { Value } from '../../../src/policy/values/value.ts';
import { requireTool } from '../../support/tools.ts';

/** What an engine answers. */
export type Answer =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'undefined' }
  | { readonly kind: 'error'; readonly code: string; readonly text: string };

/** One OPA that lives as long as a test and is asked again and again. */
export interface OpaServer {
  /** Replaces the modules and `data`. Rejects, with OPA's words, where it does not take them. */
  load(modules: ReadonlyMap<string, string>, data: Value): Promise<void>;
  /** The document at a path, its elements texts. With `strict` a builtin that fails is an error. */
  ask(path: readonly string[], input: Value | undefined, strict: boolean): Promise<Answer>;
  stop(): Promise<void>;
}

/** Listens on a socket in a folder of its own. */
export async function startOpaServer(): Promise<OpaServer> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-opa-'));
  const socketPath = join(folder, 'opa.sock');
  const flags = ['run', '--server', '--addr', `unix://${socketPath}`, '--log-level', 'error', '--skip-version-check'];
  const child = spawn(requireTool('opa'), flags, { stdio: ['ignore', 'ignore', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const agent = new Agent({ keepAlive: true, maxSockets: 16 });
  let loaded: readonly string[] = [];

  function send(method: string, path: string, body: string): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const sent = request({ socketPath, agent, method, path }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }

  async function demand(method: string, path: string, body: string): Promise<void> {
    const { status, text } = await send(method, path, body);
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
  }

  async function ready(): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        await demand('GET', '/health', '');
        return;
      } catch (error) {
        if (tries > 600 || child.exitCode !== null) throw error;
        await sleep(50);
      }
    }
  }

  async function stop(): Promise<void> {
    agent.destroy();
    child.kill('SIGKILL');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  }

  try {
    await ready();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    stop,
    async load(modules, data) {
      await inSomeOrder(loaded, (name) => demand('DELETE', `/v1/policies/${name}`, ''));
      await demand('PUT', '/v1/data', toJsonText(data));
      loaded = [...modules.keys()];
      await inSomeOrder([...modules], ([name, text]) => demand('PUT', `/v1/policies/${name}`, text));
    },
    async ask(path, input, strict) {
      const to = `/v1/data/${path.map(encodeURIComponent).join('/')}${strict ? '?strict-builtin-errors=true' : ''}`;
      const { status, text } = await send('POST', to, input === undefined ? '{}' : `{"input":${toJsonText(input)}}`);
      return toAnswer(status, text);
    },
  };
}

/** Modules need each other: those that are refused are tried again after the others. */
async function inSomeOrder<T>(items: readonly T[], send: (item: T) => Promise<void>): Promise<void> {
  let left = items;
  while (left.length > 0) {
    const refused: T[] = [];
    let why: unknown;
    for (const item of left) {
      try {
        await send(item);
      } catch (error) {
        why = error;
        refused.push(item);
      }
    }
    if (refused.length === left.length) throw why;
    left = refused;
  }
}

function toAnswer(status: number, text: string): Answer {
  const body = parseJson(text);
  if (!isObject(body)) throw new Error(`OPA answers ${status} ${text}`);
  if (status === 200) {
    const value = memberOf(body, 'result');
    return value === undefined ? { kind: 'undefined' } : { kind: 'value', value };
  }
  const errors = memberOf(body, 'errors');
  const first = isArray(errors) ? errors[0] : undefined;
  // Of what fails in OPA itself there is a message only.
  if (!isObject(first)) return { kind: 'error', code: 'eval_internal_error', text: textOf(memberOf(body, 'message')) };
  return { kind: 'error', code: textOf(memberOf(first, 'code')), text: textOf(memberOf(first, 'message')) };
}

function textOf(value: Value | undefined): string {
  return typeof value === 'string' ? value : '';
}
