// What one JSON document may cost beside its bytes: while it is read no other check is answered.

/**
 * Keys of one document that need a map: those of objects with more than a dozen, or with escapes. 4 MB of them took
 * 1.6 s, in which every check that waits becomes an error at its gateway.
 */
export const MAX_INDEXED_KEYS = 16_384;
/** Earlier twins of keys and lone surrogates of one document. */
export const MAX_EDITS = 16_384;
/** More than the 300,000 token ids of the largest embedding batches; a policy engine takes a tenth of a µs for each. */
export const MAX_VALUES = 320_000;
/** Objects and lists, each of which costs ten plain values. */
export const MAX_CONTAINERS = 32_768;
