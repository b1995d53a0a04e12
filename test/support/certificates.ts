import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireTool } from './tools.ts';

/** PEM files made for one test. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateWish {
  /** As openssl writes them: `URI:spiffe://td/gateway`, `DNS:gateway.example`. */
  readonly sans?: readonly string[];
  /** The signing CA; absent: self-signed. */
  readonly ca?: CertificateFiles;
  /** Whether the certificate may sign others. */
  readonly isCa?: boolean;
}

/** A scratch folder of certificates that openssl makes; `remove` deletes it. */
export interface CertificateMaker {
  readonly folder: string;
  make(name: string, wish?: CertificateWish): CertificateFiles;
  remove(): void;
}

/** Needs the tool `openssl`: Node can read certificates and not make them. */
export function createCertificateMaker(): CertificateMaker {
  const openssl = requireTool('openssl');
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-certificates-'));
  const run = (...args: readonly string[]): void => {
    execFileSync(openssl, args, { cwd: folder, stdio: 'pipe' });
  };
  return {
    folder,
    make(name, { sans = [], ca, isCa = false } = {}) {
      const files = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
      const config = join(folder, `${name}.cnf`);
      writeFileSync(config, opensslConfig(name, sans, isCa));
      run('ecparam', '-genkey', '-name', 'prime256v1', '-noout', '-out', files.key);
      const signing = ca === undefined ? [] : ['-CA', ca.cert, '-CAkey', ca.key];
      run('req', '-x509', '-new', '-key', files.key, '-out', files.cert, '-days', '30', '-config', config, ...signing);
      return files;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function opensslConfig(name: string, sans: readonly string[], isCa: boolean): string {
  const names = sans.map((san, index) => san.replace(':', `.${index} = `));
  return [
    '[req]',
    'distinguished_name = subject',
    'x509_extensions = extensions',
    'prompt = no',
    '[subject]',
    `CN = ${name}`,
    '[extensions]',
    `basicConstraints = critical, CA:${isCa ? 'TRUE' : 'FALSE'}`,
    ...(names.length > 0 ? ['subjectAltName = @names', '[names]', ...names] : []),
    '',
  ].join('\n');
}

/** What a door with mTLS is tried with: its own certificate, a caller that is allowed, and one of the same CA that is not. */
export function makeDoorCertificates(maker: CertificateMaker): {
  readonly ca: CertificateFiles;
  readonly server: CertificateFiles;
  readonly gateway: CertificateFiles;
  readonly stranger: CertificateFiles;
} {
  const ca = maker.make('ca', { isCa: true });
  return {
    ca,
    server: maker.make('server', { ca, sans: ['DNS:localhost'] }),
    gateway: maker.make('gateway', { ca, sans: ['URI:spiffe://td/gateway'] }),
    stranger: maker.make('stranger', { ca, sans: ['URI:spiffe://td/stranger'] }),
  };
}
