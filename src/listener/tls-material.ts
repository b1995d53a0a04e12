import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';

/** The PEM files of a listener. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  /** CAs of the certificates that callers must present; absent where callers present none. */
  readonly client_ca?: string;
}

/** What the files held at one moment, proven to be a pair. */
export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly clientCa?: Buffer;
}

export interface TlsFault {
  readonly key: keyof TlsFiles;
  readonly message: string;
}

/** Reads and proves the files together; `material` is there only when there is no fault. The key is in no message. */
export function loadTlsMaterial(files: TlsFiles): {
  readonly material?: TlsMaterial;
  readonly faults: readonly TlsFault[];
} {
  const faults: TlsFault[] = [];
  const fault = (key: keyof TlsFiles, message: string): undefined => {
    faults.push({ key, message });
    return undefined;
  };
  const cert = read('cert', files.cert, fault);
  const key = read('key', files.key, fault);
  const clientCa = files.client_ca === undefined ? undefined : read('client_ca', files.client_ca, fault);

  const leaf = cert && parse('cert', files.cert, 'a certificate in PEM', () => new X509Certificate(cert), fault);
  const privateKey: KeyObject | undefined =
    key && parse('key', files.key, 'an unencrypted private key in PEM', () => createPrivateKey(key), fault);
  if (clientCa !== undefined && files.client_ca !== undefined) {
    parse('client_ca', files.client_ca, 'a certificate in PEM', () => new X509Certificate(clientCa), fault);
  }
  if (leaf && privateKey && !leaf.checkPrivateKey(privateKey)) {
    fault('key', `\`${files.key}\` is not the key of \`${files.cert}\``);
  }
  if (faults.length > 0 || cert === undefined || key === undefined) return { faults };

  const material: TlsMaterial = { cert, key, ...(clientCa === undefined ? {} : { clientCa }) };
  const usable = parse(
    'cert',
    files.cert,
    'a chain that TLS can use',
    () => createSecureContext(contextOf(material)),
    fault,
  );
  return usable === undefined ? { faults } : { material, faults };
}

/** The part of the material that makes a secure context. */
export function contextOf({ cert, key, clientCa }: TlsMaterial): {
  cert: Buffer;
  key: Buffer;
  ca?: Buffer;
  minVersion: 'TLSv1.2';
} {
  return { cert, key, minVersion: 'TLSv1.2', ...(clientCa === undefined ? {} : { ca: clientCa }) };
}

type AddFault = (key: keyof TlsFiles, message: string) => undefined;

function read(key: keyof TlsFiles, file: string, fault: AddFault): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch (error) {
    // `code` is a word such as ENOENT or EACCES.
    const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : '';
    return fault(key, `\`${file}\` cannot be read${code}`);
  }
}

function parse<T>(key: keyof TlsFiles, file: string, wanted: string, make: () => T, fault: AddFault): T | undefined {
  try {
    return make();
  } catch {
    return fault(key, `\`${file}\` does not hold ${wanted}`);
  }
}
