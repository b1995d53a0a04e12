/** What `insecure.demo_issuer` may not stand beside, as plain facts about config and environment. */
export interface DemoFacts {
  readonly otherIssuers: number;
  readonly apiKeys: boolean;
  readonly mtls: boolean;
  /** Whether every bundle is the one shipped with Sallyport, by its pin. */
  readonly shippedBundle: boolean;
  /** The listeners that are reachable from beyond this machine. */
  readonly listenersOffLoopback: readonly string[];
  readonly redis: boolean;
  readonly workers: number;
  readonly env: { readonly [name: string]: string | undefined };
}

/**
 * Every reason why the demo issuer must not run here, none when it may: whoever can read this process's output can
 * mint its tokens, so it must never stand before anything real (SECURITY row 33).
 */
export function checkDemoIssuer(facts: DemoFacts): readonly { readonly path: string; readonly message: string }[] {
  return prohibitions(facts).map((reason) => ({
    path: 'insecure.demo_issuer',
    message: `the demo issuer must not be used with ${reason}: remove \`insecure.demo_issuer\``,
  }));
}

function prohibitions(facts: DemoFacts): readonly string[] {
  const { env } = facts;
  const reasons: string[] = [];
  if (facts.otherIssuers !== 0) reasons.push('another issuer (`identity.jwt.issuers`)');
  if (facts.apiKeys) reasons.push('API keys (`identity.api_keys`)');
  if (facts.mtls) reasons.push('mTLS identities (`identity.mtls`)');
  if (!facts.shippedBundle) reasons.push('a bundle other than the shipped one (`bundles`)');
  for (const listener of facts.listenersOffLoopback) reasons.push(`a listener off loopback (\`${listener}\`)`);
  if (facts.redis) reasons.push('a Redis store (`quota.store`)');
  if (facts.workers !== 1) reasons.push('more than one worker');
  if (env['KUBERNETES_SERVICE_HOST'] !== undefined) reasons.push('Kubernetes (`KUBERNETES_SERVICE_HOST` is set)');
  if (env['NODE_ENV']?.trim().toLowerCase() === 'production') reasons.push('`NODE_ENV=production`');
  return reasons;
}
