/** What the demo issuer gives a newcomer: a token, and where Envoy's HTTP service listens. */
export interface Demo {
  readonly token: string;
  /** `127.0.0.1:8181`. */
  readonly address: string;
}

/** Two complete `curl` lines to paste: the first is answered 200, the second (another tenant's model) 403. */
export function toDemoLines({ token, address }: Demo): readonly string[] {
  const ask = (path: string) =>
    [
      'curl -i -X POST',
      `-H 'authorization: Bearer ${token}'`,
      `-H 'content-type: application/json'`,
      // What Envoy says when it sends the whole body along.
      `-H 'x-envoy-auth-partial-body: false'`,
      `-d '{"prompt":"hello"}'`,
      `http://${address}/ext-authz${path}`,
    ].join(' ');
  return [ask('/tenant-a/llama-3-8b/infer'), ask('/tenant-b/llama-3-8b/infer')];
}
