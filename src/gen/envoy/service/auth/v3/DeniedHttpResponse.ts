// Original file: proto/envoy/service/auth/v3/external_auth.proto

import type { HttpStatusInput as _envoy_type_v3_HttpStatusInput, HttpStatus as _envoy_type_v3_HttpStatus } from '../../../../envoy/type/v3/HttpStatus.ts';
import type { HeaderValueOptionInput as _envoy_config_core_v3_HeaderValueOptionInput, HeaderValueOption as _envoy_config_core_v3_HeaderValueOption } from '../../../../envoy/config/core/v3/HeaderValueOption.ts';

export interface DeniedHttpResponseInput {
  'status'?: (_envoy_type_v3_HttpStatusInput | null);
  'headers'?: (_envoy_config_core_v3_HeaderValueOptionInput)[];
  'body'?: (string);
}

export interface DeniedHttpResponse {
  'status'?: (_envoy_type_v3_HttpStatus);
  'headers'?: (_envoy_config_core_v3_HeaderValueOption)[];
  'body'?: (string);
}
