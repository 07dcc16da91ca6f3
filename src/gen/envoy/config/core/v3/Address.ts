// Original file: proto/envoy/config/core/v3/address.proto

import type { SocketAddressInput as _envoy_config_core_v3_SocketAddressInput, SocketAddress as _envoy_config_core_v3_SocketAddress } from '../../../../envoy/config/core/v3/SocketAddress.ts';
import type { PipeInput as _envoy_config_core_v3_PipeInput, Pipe as _envoy_config_core_v3_Pipe } from '../../../../envoy/config/core/v3/Pipe.ts';

export interface AddressInput {
  'socket_address'?: (_envoy_config_core_v3_SocketAddressInput | null);
  'pipe'?: (_envoy_config_core_v3_PipeInput | null);
  'address'?: "socket_address"|"pipe";
}

export interface Address {
  'socket_address'?: (_envoy_config_core_v3_SocketAddress);
  'pipe'?: (_envoy_config_core_v3_Pipe);
}
