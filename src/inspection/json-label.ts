import type { AccessRequest } from '../decision/access-request.ts';
import { parseMediaType } from './media-type.ts';
import { malformed, type Refusal } from './refusal.ts';

/** Refuses a body that is not plainly labelled as uncoded UTF-8 JSON: the upstream might read it in another way. */
export function jsonLabelFault({ headers }: AccessRequest, contentType: string | undefined): Refusal | undefined {
  if (headers.all('content-encoding').length > 0) return malformed('`content-encoding` is set on a JSON route');
  const media = contentType === undefined ? undefined : parseMediaType(contentType);
  if (media?.type !== 'application/json') return malformed('`content-type` is not `application/json`');
  for (const [name, value] of media.parameters) {
    if (name !== 'charset' || value.toLowerCase() !== 'utf-8') return malformed('`content-type` is not in UTF-8');
  }
  return undefined;
}
