// Original file: proto/envoy/config/core/v3/base.proto

import type { HeaderValueInput as _envoy_config_core_v3_HeaderValueInput, HeaderValue as _envoy_config_core_v3_HeaderValue } from '../../../../envoy/config/core/v3/HeaderValue.ts';
import type { BoolValueInput as _google_protobuf_BoolValueInput, BoolValue as _google_protobuf_BoolValue } from '../../../../google/protobuf/BoolValue.ts';

// Original file: proto/envoy/config/core/v3/base.proto

export const _envoy_config_core_v3_HeaderValueOption_HeaderAppendAction = {
  APPEND_IF_EXISTS_OR_ADD: 0,
  ADD_IF_ABSENT: 1,
  OVERWRITE_IF_EXISTS_OR_ADD: 2,
  OVERWRITE_IF_EXISTS: 3,
} as const;

export type _envoy_config_core_v3_HeaderValueOption_HeaderAppendActionInput =
  | 'APPEND_IF_EXISTS_OR_ADD'
  | 0
  | 'ADD_IF_ABSENT'
  | 1
  | 'OVERWRITE_IF_EXISTS_OR_ADD'
  | 2
  | 'OVERWRITE_IF_EXISTS'
  | 3

export type _envoy_config_core_v3_HeaderValueOption_HeaderAppendAction = typeof _envoy_config_core_v3_HeaderValueOption_HeaderAppendAction[keyof typeof _envoy_config_core_v3_HeaderValueOption_HeaderAppendAction]

export interface HeaderValueOptionInput {
  'header'?: (_envoy_config_core_v3_HeaderValueInput | null);
  'append'?: (_google_protobuf_BoolValueInput | null);
  'append_action'?: (_envoy_config_core_v3_HeaderValueOption_HeaderAppendActionInput);
}

export interface HeaderValueOption {
  'header'?: (_envoy_config_core_v3_HeaderValue);
  'append'?: (_google_protobuf_BoolValue);
  'append_action'?: (_envoy_config_core_v3_HeaderValueOption_HeaderAppendAction);
}
