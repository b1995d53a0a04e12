import { readFile } from 'node:fs/promises';
import type { SinkCredentialsConfig, SinkTlsConfig } from './config-types.ts';

/** The headers that show the target who writes, read anew. Rejects, naming the file, where a file cannot be used. */
export async function credentialHeaders(
  config: SinkCredentialsConfig | undefined,
): Promise<{ readonly [name: string]: string }> {
  if (config === undefined) return {};
  const { bearer_token: token, bearer_token_file: tokenFile, basic, api_key: apiKey } = config;
  if (token !== undefined) return { authorization: `Bearer ${token}` };
  if (tokenFile !== undefined) return { authorization: `Bearer ${await readSecret(tokenFile)}` };
  if (basic !== undefined) {
    const password = basic.password ?? (await readSecret(basic.password_file ?? ''));
    return { authorization: `Basic ${Buffer.from(`${basic.username}:${password}`).toString('base64')}` };
  }
  if (apiKey === undefined) return {};
  return { [apiKey.header.toLowerCase()]: apiKey.value ?? (await readSecret(apiKey.value_file ?? '')) };
}

/** One line of printable ASCII, from a file. The error names the file and not what it holds. */
export async function readSecret(path: string): Promise<string> {
  const text = (await readNamed(path)).toString('latin1').trim();
  if (SECRET.test(text)) return text;
  throw new Error(`\`${path}\` holds no credential: one line of printable ASCII is wanted`);
}

const SECRET = /^[\x20-\x7e]{1,16384}$/;

/** What the PEM files hold now. */
export type TlsContents = { readonly [name in keyof SinkTlsConfig]: Buffer };

export async function readTls(config: SinkTlsConfig | undefined): Promise<TlsContents> {
  const { ca, cert, key } = config ?? {};
  return {
    ...(ca === undefined ? {} : { ca: await readNamed(ca) }),
    ...(cert === undefined ? {} : { cert: await readNamed(cert) }),
    ...(key === undefined ? {} : { key: await readNamed(key) }),
  };
}

async function readNamed(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    // `code` is a word such as ENOENT or EACCES.
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : '';
    throw new Error(`cannot read \`${path}\`${code}: check the file and its permissions`, { cause });
  }
}
