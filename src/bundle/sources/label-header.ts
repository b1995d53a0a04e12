/** The header in which an agent tells a server of bundles its labels, so that it is given its channel. */
export const LABELS_HEADER = 'x-sallyport-labels';

/** `name=value`, comma separated; labels that a header of this form cannot hold are left out. */
export function labelHeaderOf(labels: { readonly [name: string]: string }): { readonly [header: string]: string } {
  const pairs = Object.entries(labels)
    .filter(([name, value]) => NAME.test(name) && VALUE.test(value))
    .slice(0, MAX_LABELS)
    .map(([name, value]) => `${name}=${value}`);
  return pairs.length === 0 ? {} : { [LABELS_HEADER]: pairs.join(',') };
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const VALUE = /^[A-Za-z0-9._:/@-]{0,128}$/;
const MAX_LABELS = 32;
