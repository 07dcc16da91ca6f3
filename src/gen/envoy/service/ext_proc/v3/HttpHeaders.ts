// Original file: proto/envoy/service/ext_proc/v3/external_processor.proto

import type { HeaderMapInput as _envoy_config_core_v3_HeaderMapInput, HeaderMap as _envoy_config_core_v3_HeaderMap } from '../../../../envoy/config/core/v3/HeaderMap.ts';

export interface HttpHeadersInput {
  'headers'?: (_envoy_config_core_v3_HeaderMapInput | null);
  'end_of_stream'?: (boolean);
}

export interface HttpHeaders {
  'headers'?: (_envoy_config_core_v3_HeaderMap);
  'end_of_stream'?: (boolean);
}
