/** One thing wrong with the config: where it stands, and what to do about it. */
export interface ConfigFault {
  /** Dotted, with list indexes: `identity.jwt.issuers[0].audiences`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  /** 1-based; absent where the file has no such place. */
  readonly line?: number;
}

/** Every fault of one config, together: nothing starts before all of them are mended. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly file: string;
  readonly faults: readonly ConfigFault[];

  constructor(file: string, faults: readonly ConfigFault[]) {
    super(faults.map((fault) => faultText(file, fault)).join('\n'));
    this.file = file;
    this.faults = faults;
  }
}

/** `sallyport.yaml:12: doors.ext_authz_grpc.listen: is compulsory`. */
export function faultText(file: string, { path, message, line }: ConfigFault): string {
  return [line === undefined ? file : `${file}:${line}`, path, message].filter((part) => part !== '').join(': ');
}
