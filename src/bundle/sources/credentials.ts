import { readFile } from 'node:fs/promises';
import { AwsV4Signer } from 'aws4fetch';
import type { CredentialsConfig, S3Config } from '../config-sources.ts';
import { BundleError } from '../errors.ts';

/** The headers with what shows who asks. Throws a `BundleError` where that cannot be had. */
export type AddCredentials = (
  url: URL,
  headers: { readonly [name: string]: string },
) => Promise<{ readonly [name: string]: string }>;

/** A bearer token or an API key; a token's file is read again at each use. `undefined` where config names none. */
export function createCredentials(config: CredentialsConfig | undefined): AddCredentials | undefined {
  if (config === undefined) return undefined;
  const { bearer_token: token, bearer_token_file: file, api_key: apiKey } = config;
  return async (_url, headers) => ({
    ...headers,
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(file === undefined ? {} : { authorization: `Bearer ${await readSecret(file)}` }),
    ...(apiKey === undefined ? {} : { [apiKey.header.toLowerCase()]: apiKey.value }),
  });
}

/** Signs each request by AWS Signature Version 4, as S3 and its likes want it. */
export function createS3Credentials(config: S3Config): AddCredentials {
  return async (url, headers) => {
    const secret = config.secret_access_key ?? (await readSecret(config.secret_access_key_file ?? ''));
    const signer = new AwsV4Signer({
      url: url.href,
      accessKeyId: config.access_key_id,
      secretAccessKey: secret,
      ...(config.session_token === undefined ? {} : { sessionToken: config.session_token }),
      service: 's3',
      region: config.region,
    });
    const signed = await signer.sign();
    return { ...headers, ...Object.fromEntries(signed.headers) };
  };
}

async function readSecret(path: string): Promise<string> {
  let text: string;
  try {
    text = (await readFile(path, 'latin1')).trim();
  } catch (error) {
    throw new BundleError('bundle_unreachable', `cannot read the credential in \`${path}\``, { cause: error });
  }
  if (SECRET.test(text)) return text;
  throw new BundleError('bundle_unreachable', `\`${path}\` holds no credential: one line of printable ASCII is wanted`);
}

const SECRET = /^[\x21-\x7e]{1,16384}$/;
