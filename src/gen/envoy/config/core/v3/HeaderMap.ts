// Original file: proto/envoy/config/core/v3/base.proto

import type { HeaderValueInput as _envoy_config_core_v3_HeaderValueInput, HeaderValue as _envoy_config_core_v3_HeaderValue } from '../../../../envoy/config/core/v3/HeaderValue.ts';

export interface HeaderMapInput {
  'headers'?: (_envoy_config_core_v3_HeaderValueInput)[];
}

export interface HeaderMap {
  'headers'?: (_envoy_config_core_v3_HeaderValue)[];
}
