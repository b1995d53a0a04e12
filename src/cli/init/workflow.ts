/**
 * `.github/workflows/policy.yml` of a new policy repo: tests and lints every change, and signs what is on `main`.
 * `source` is what npm installs Sallyport from where the repo names nothing else.
 */
export function workflowText(source: string): string {
  return `name: policy

on:
  pull_request:
  push:
    branches: [main]

permissions:
  contents: read

env:
  # What npm installs Sallyport from: a version of a registry of yours, or the address of a tarball.
  SALLYPORT_PACKAGE: \${{ vars.SALLYPORT_PACKAGE || '${source}' }}

jobs:
  test:
    runs-on: ubuntu-latest
    timeout-minutes: 15
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with: { node-version: 24 }
      # OPA is compiled by Go where no matching one is there.
      - uses: actions/setup-go@v5
        with: { go-version: stable, cache: false }
      - run: npm install --global "$SALLYPORT_PACKAGE"
      - run: sallyport lint
      - run: sallyport test --coverage-threshold 95 --junit test-results/policy.xml --lcov test-results/policy.info
      - uses: actions/upload-artifact@v4
        if: always()
        with: { name: test-results, path: test-results }

  build:
    needs: test
    if: github.ref == 'refs/heads/main'
    runs-on: ubuntu-latest
    timeout-minutes: 15
    # An environment of its own, so that only reviewed changes of \`main\` see the key.
    environment: release
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with: { node-version: 24 }
      - uses: actions/setup-go@v5
        with: { go-version: stable, cache: false }
      - run: npm install --global "$SALLYPORT_PACKAGE"
      - name: Put the key where nobody else reads it
        env:
          # The private key that \`sallyport keys bundle create\` made, as PEM.
          BUNDLE_KEY: \${{ secrets.BUNDLE_KEY }}
        run: |
          umask 077
          printf '%s\\n' "$BUNDLE_KEY" > "$RUNNER_TEMP/bundle-key.pem"
      - run: >-
          sallyport build --sign --key "$RUNNER_TEMP/bundle-key.pem" --scope "$SCOPE" --version "$GITHUB_RUN_NUMBER"
          --out dist/authz.tar.gz
        env:
          SCOPE: \${{ vars.SALLYPORT_SCOPE || 'prod' }}
      - if: always()
        run: rm -f "$RUNNER_TEMP/bundle-key.pem"
      - uses: actions/upload-artifact@v4
        with: { name: bundle, path: dist }
`;
}
