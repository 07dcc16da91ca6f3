// Original file: proto/envoy/service/auth/v3/external_auth.proto

import type { HeaderValueOptionInput as _envoy_config_core_v3_HeaderValueOptionInput, HeaderValueOption as _envoy_config_core_v3_HeaderValueOption } from '../../../../envoy/config/core/v3/HeaderValueOption.ts';

export interface OkHttpResponseInput {
  'headers'?: (_envoy_config_core_v3_HeaderValueOptionInput)[];
  'headers_to_remove'?: (string)[];
  'response_headers_to_add'?: (_envoy_config_core_v3_HeaderValueOptionInput)[];
}

export interface OkHttpResponse {
  'headers'?: (_envoy_config_core_v3_HeaderValueOption)[];
  'headers_to_remove'?: (string)[];
  'response_headers_to_add'?: (_envoy_config_core_v3_HeaderValueOption)[];
}
