// Original file: proto/envoy/service/ext_proc/v3/external_processor.proto

import type { HeaderValueOptionInput as _envoy_config_core_v3_HeaderValueOptionInput, HeaderValueOption as _envoy_config_core_v3_HeaderValueOption } from '../../../../envoy/config/core/v3/HeaderValueOption.ts';

export interface HeaderMutationInput {
  'set_headers'?: (_envoy_config_core_v3_HeaderValueOptionInput)[];
  'remove_headers'?: (string)[];
}

export interface HeaderMutation {
  'set_headers'?: (_envoy_config_core_v3_HeaderValueOption)[];
  'remove_headers'?: (string)[];
}
