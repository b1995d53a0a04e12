/** `README.md` of a new policy repo. */
export const README = `# Policies

What Sallyport decides by, as Rego with its data, its tests and its request cases.

| | |
|---|---|
| \`policies/catalog/data.json\` | routes, limits, tiers, models and tenants: most changes are made here |
| \`policies/*/*.rego\` | the rules, each package with its tests (\`*_test.rego\`) |
| \`policies/**/*.cases.yaml\` | request cases: an HTTP request, who asks and what is left of his limits in; decision, headers and event out |
| \`bundles/authz.json\` | what the bundle is built of |
| \`bundles/capabilities.json\` | what Rego may call: nothing that reaches the network |

## Change something

\`\`\`sh
sallyport test --watch          # Rego tests and request cases, again after every change
sallyport lint                  # raw headers, and inputs that may be absent
sallyport eval --case 'a model of another tenant is forbidden' --file policies/authz/smoke.cases.yaml
sallyport build                 # bundles/authz.tar.gz, and the SHA-256 to pin
sallyport check-data bundles/authz.tar.gz
\`\`\`

The request cases travel in the bundle: a service decides them before it lets a new revision decide anything. So a case
names tenants and models that the data has, and holds whatever the day.

## Sign it

\`\`\`sh
sallyport keys bundle create --out keys          # keep the private key out of this repo
sallyport build --sign --key keys --scope prod --out dist/authz.tar.gz
\`\`\`

\`.github/workflows/policy.yml\` does the same for every change of \`main\`. It wants the secret \`BUNDLE_KEY\` (the private
key as PEM) in an environment named \`release\`, the variable \`SALLYPORT_PACKAGE\` where npm cannot install Sallyport by its
name, and the variable \`SALLYPORT_SCOPE\` where the scope is not \`prod\`.
`;

/** `.gitignore` of a new policy repo. */
export const GIT_IGNORE = `# What is built, and what it was tested with.
/bundles/*.tar.gz*
/dist/
/test-results/
/.tools/
# Private keys.
/keys/
*.pem
*.key
`;
