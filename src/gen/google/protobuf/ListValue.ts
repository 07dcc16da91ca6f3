// Original file: null

import type { ValueInput as _google_protobuf_ValueInput, Value as _google_protobuf_Value } from '../../google/protobuf/Value.ts';

export interface ListValueInput {
  'values'?: (_google_protobuf_ValueInput)[];
}

export interface ListValue {
  'values'?: (_google_protobuf_Value)[];
}
