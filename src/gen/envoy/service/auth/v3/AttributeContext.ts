// Original file: proto/envoy/service/auth/v3/attribute_context.proto

import type { AddressInput as _envoy_config_core_v3_AddressInput, Address as _envoy_config_core_v3_Address } from '../../../../envoy/config/core/v3/Address.ts';
import type { TimestampInput as _google_protobuf_TimestampInput, Timestamp as _google_protobuf_Timestamp } from '../../../../google/protobuf/Timestamp.ts';
import type { HeaderMapInput as _envoy_config_core_v3_HeaderMapInput, HeaderMap as _envoy_config_core_v3_HeaderMap } from '../../../../envoy/config/core/v3/HeaderMap.ts';
import type { Long } from '@grpc/proto-loader';

export interface _envoy_service_auth_v3_AttributeContext_HttpRequestInput {
  'id'?: (string);
  'method'?: (string);
  'headers'?: ({[key: string]: string});
  'path'?: (string);
  'host'?: (string);
  'scheme'?: (string);
  'query'?: (string);
  'fragment'?: (string);
  'size'?: (number | string | Long);
  'protocol'?: (string);
  'body'?: (string);
  'raw_body'?: (Buffer | Uint8Array | string);
  'header_map'?: (_envoy_config_core_v3_HeaderMapInput | null);
}

export interface _envoy_service_auth_v3_AttributeContext_HttpRequest {
  'id'?: (string);
  'method'?: (string);
  'headers'?: ({[key: string]: string});
  'path'?: (string);
  'host'?: (string);
  'scheme'?: (string);
  'query'?: (string);
  'fragment'?: (string);
  'size'?: (number);
  'protocol'?: (string);
  'body'?: (string);
  'raw_body'?: (Buffer);
  'header_map'?: (_envoy_config_core_v3_HeaderMap);
}

export interface _envoy_service_auth_v3_AttributeContext_PeerInput {
  'address'?: (_envoy_config_core_v3_AddressInput | null);
  'principal'?: (string);
}

export interface _envoy_service_auth_v3_AttributeContext_Peer {
  'address'?: (_envoy_config_core_v3_Address);
  'principal'?: (string);
}

export interface _envoy_service_auth_v3_AttributeContext_RequestInput {
  'time'?: (_google_protobuf_TimestampInput | null);
  'http'?: (_envoy_service_auth_v3_AttributeContext_HttpRequestInput | null);
}

export interface _envoy_service_auth_v3_AttributeContext_Request {
  'time'?: (_google_protobuf_Timestamp);
  'http'?: (_envoy_service_auth_v3_AttributeContext_HttpRequest);
}

export interface AttributeContextInput {
  'source'?: (_envoy_service_auth_v3_AttributeContext_PeerInput | null);
  'destination'?: (_envoy_service_auth_v3_AttributeContext_PeerInput | null);
  'request'?: (_envoy_service_auth_v3_AttributeContext_RequestInput | null);
  'context_extensions'?: ({[key: string]: string});
}

export interface AttributeContext {
  'source'?: (_envoy_service_auth_v3_AttributeContext_Peer);
  'destination'?: (_envoy_service_auth_v3_AttributeContext_Peer);
  'request'?: (_envoy_service_auth_v3_AttributeContext_Request);
  'context_extensions'?: ({[key: string]: string});
}
