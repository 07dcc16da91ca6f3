// Original file: null

import type { NullValueInput as _google_protobuf_NullValueInput, NullValue as _google_protobuf_NullValue } from '../../google/protobuf/NullValue.ts';
import type { StructInput as _google_protobuf_StructInput, Struct as _google_protobuf_Struct } from '../../google/protobuf/Struct.ts';
import type { ListValueInput as _google_protobuf_ListValueInput, ListValue as _google_protobuf_ListValue } from '../../google/protobuf/ListValue.ts';

export interface ValueInput {
  'nullValue'?: (_google_protobuf_NullValueInput);
  'numberValue'?: (number | string);
  'stringValue'?: (string);
  'boolValue'?: (boolean);
  'structValue'?: (_google_protobuf_StructInput | null);
  'listValue'?: (_google_protobuf_ListValueInput | null);
  'kind'?: "nullValue"|"numberValue"|"stringValue"|"boolValue"|"structValue"|"listValue";
}

export interface Value {
  'nullValue'?: (_google_protobuf_NullValue);
  'numberValue'?: (number);
  'stringValue'?: (string);
  'boolValue'?: (boolean);
  'structValue'?: (_google_protobuf_Struct);
  'listValue'?: (_google_protobuf_ListValue);
}
