// Original file: proto/envoy/service/ext_proc/v3/external_processor.proto

import type { HeaderMapInput as _envoy_config_core_v3_HeaderMapInput, HeaderMap as _envoy_config_core_v3_HeaderMap } from '../../../../envoy/config/core/v3/HeaderMap.ts';

export interface HttpTrailersInput {
  'trailers'?: (_envoy_config_core_v3_HeaderMapInput | null);
}

export interface HttpTrailers {
  'trailers'?: (_envoy_config_core_v3_HeaderMap);
}
