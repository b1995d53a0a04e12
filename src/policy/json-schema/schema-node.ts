import type { Regex } from '../../regex/regex.ts';
import type { NumberValue } from '../values/value.ts';

/** What schemas are compiled and documents judged at the cost of: one step for some 10 ns; throws when it is used up. */
export interface Budget {
  charge(steps: number): void;
}

/** A schema that is none; the message is gojsonschema's where it says one. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';
}

export type SchemaType = 'array' | 'boolean' | 'integer' | 'null' | 'number' | 'object' | 'string';

/** A compiled schema. Changed only while it is compiled. */
export interface SchemaNode {
  /** A schema that is only true or false. */
  pass?: boolean;
  /** Counts alone where it is set. */
  reference?: SchemaNode;
  types: SchemaType[];
  properties: Map<string, SchemaNode>;
  patternProperties: (readonly [Regex, SchemaNode])[];
  additionalProperties?: boolean | SchemaNode;
  propertyNames?: SchemaNode;
  /** What has to be there, or to fit, where a member is there. */
  dependentNames: Map<string, readonly string[]>;
  dependentSchemas: Map<string, SchemaNode>;
  required: string[];
  minProperties?: number;
  maxProperties?: number;
  /** For all items. */
  items?: SchemaNode;
  /** For each place. */
  placedItems: SchemaNode[];
  additionalItems?: boolean | SchemaNode;
  contains?: SchemaNode;
  minItems?: number;
  maxItems?: number;
  uniqueItems: boolean;
  minimum?: NumberValue;
  exclusiveMinimum?: NumberValue;
  maximum?: NumberValue;
  exclusiveMaximum?: NumberValue;
  multipleOf?: NumberValue;
  minLength?: number;
  maxLength?: number;
  pattern?: Regex;
  format?: string;
  /** As JSON of which the numbers are doubles. */
  constant?: string;
  allowed?: string[];
  oneOf: SchemaNode[];
  anyOf: SchemaNode[];
  allOf: SchemaNode[];
  not?: SchemaNode;
  if?: SchemaNode;
  then?: SchemaNode;
  else?: SchemaNode;
}

export function emptyNode(): SchemaNode {
  return {
    types: [],
    properties: new Map(),
    patternProperties: [],
    dependentNames: new Map(),
    dependentSchemas: new Map(),
    required: [],
    placedItems: [],
    uniqueItems: false,
    oneOf: [],
    anyOf: [],
    allOf: [],
  };
}
