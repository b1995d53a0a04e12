import type { SecureContextOptions } from 'node:tls';
import type { StartTimer } from '../decision/ports.ts';
import { contextOf, loadTlsMaterial, type TlsFiles, type TlsMaterial } from './tls-material.ts';

export interface TlsPorts {
  readonly files: TlsFiles;
  readonly startTimer: StartTimer;
  /** How often the files are looked at, in milliseconds. */
  readonly pollMs?: number;
  /** Told of every reload, and once of each new fault that kept the old pair in force. */
  readonly report?: (event: TlsReload) => void;
}

/** `kept`: the files hold no usable pair just now, so the one in force stays. */
export type TlsReload =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'reloaded' }
  | { readonly kind: 'kept'; readonly cause: string };

/** Whether callers must show a certificate; a server takes this at construction only. */
export interface ClientPolicy {
  readonly requestCert: boolean;
  readonly rejectUnauthorized: boolean;
}

/** For `tls`, `https` and `http2` servers alike. */
export type TlsServerOptions = SecureContextOptions & ClientPolicy;

/** A listener's certificate, which follows its files without a restart. */
export interface Tls {
  /** Throws an Error that names every fault of the files, if no usable pair was ever loaded. */
  material(): TlsMaterial;
  /** Needs no file, unlike `serverOptions`. */
  readonly clientPolicy: ClientPolicy;
  /** TLS 1.2 at least; with a client CA the handshake fails without a certificate of it. */
  serverOptions(): TlsServerOptions;
  /** Gives the server each new pair; connections that stand keep theirs. Answers the function that ends this. */
  attach(server: { setSecureContext(options: SecureContextOptions): void }): () => void;
  /** Calls back with each new pair, for servers that take it in another way. */
  onReload(listener: (material: TlsMaterial) => void): () => void;
  /** Looks at the files now. */
  reload(): TlsReload;
  /** Loads at once (throws as `material` does) and looks again every `pollMs`. */
  start(): void;
  stop(): void;
}

const POLL_MS = 10_000;

/** Content is compared, not times: Kubernetes swaps a symlink, and two writes can share a timestamp. */
export function createTls({ files, startTimer, pollMs = POLL_MS, report }: TlsPorts): Tls {
  const mutual = files.client_ca !== undefined;
  const clientPolicy: ClientPolicy = { requestCert: mutual, rejectUnauthorized: mutual };
  let current: TlsMaterial | undefined;
  let lastCause: string | undefined;
  let cancel: (() => void) | undefined;
  const listeners = new Set<(material: TlsMaterial) => void>();

  function loaded(): TlsMaterial {
    if (current !== undefined) return current;
    const { material, faults } = loadTlsMaterial(files);
    if (material === undefined)
      throw new Error(`no usable certificate: ${faults.map(({ message }) => message).join('; ')}`);
    current = material;
    return material;
  }

  function reload(): TlsReload {
    const { material, faults } = loadTlsMaterial(files);
    if (material === undefined) {
      const cause = faults.map(({ message }) => message).join('; ');
      const event = { kind: 'kept', cause } as const;
      if (cause !== lastCause) report?.(event);
      lastCause = cause;
      return event;
    }
    lastCause = undefined;
    if (current !== undefined && isSame(current, material)) return { kind: 'unchanged' };
    current = material;
    for (const listener of listeners) listener(material);
    const event = { kind: 'reloaded' } as const;
    report?.(event);
    return event;
  }

  function lookAgain(): void {
    cancel = startTimer(pollMs, () => {
      reload();
      lookAgain();
    });
  }

  function onReload(listener: (material: TlsMaterial) => void): () => void {
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
    };
  }

  return {
    material: loaded,
    clientPolicy,
    serverOptions: () => ({ ...contextOf(loaded()), ...clientPolicy }),
    attach: (server) => onReload((material) => server.setSecureContext(contextOf(material))),
    onReload,
    reload,
    start() {
      loaded();
      if (cancel === undefined) lookAgain();
    },
    stop() {
      cancel?.();
      cancel = undefined;
    },
  };
}

function isSame(a: TlsMaterial, b: TlsMaterial): boolean {
  return a.cert.equals(b.cert) && a.key.equals(b.key) && sameCa(a.clientCa, b.clientCa);
}

function sameCa(a: Buffer | undefined, b: Buffer | undefined): boolean {
  return a === undefined || b === undefined ? a === b : a.equals(b);
}
