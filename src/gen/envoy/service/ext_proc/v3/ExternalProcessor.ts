// Original file: proto/envoy/service/ext_proc/v3/external_processor.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { ProcessingRequestInput as _envoy_service_ext_proc_v3_ProcessingRequestInput, ProcessingRequest as _envoy_service_ext_proc_v3_ProcessingRequest } from '../../../../envoy/service/ext_proc/v3/ProcessingRequest.ts';
import type { ProcessingResponseInput as _envoy_service_ext_proc_v3_ProcessingResponseInput, ProcessingResponse as _envoy_service_ext_proc_v3_ProcessingResponse } from '../../../../envoy/service/ext_proc/v3/ProcessingResponse.ts';

export interface ExternalProcessorClient extends grpc.Client {
  Process(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_envoy_service_ext_proc_v3_ProcessingRequestInput, _envoy_service_ext_proc_v3_ProcessingResponse>;
  Process(options?: grpc.CallOptions): grpc.ClientDuplexStream<_envoy_service_ext_proc_v3_ProcessingRequestInput, _envoy_service_ext_proc_v3_ProcessingResponse>;
  process(metadata: grpc.Metadata, options?: grpc.CallOptions): grpc.ClientDuplexStream<_envoy_service_ext_proc_v3_ProcessingRequestInput, _envoy_service_ext_proc_v3_ProcessingResponse>;
  process(options?: grpc.CallOptions): grpc.ClientDuplexStream<_envoy_service_ext_proc_v3_ProcessingRequestInput, _envoy_service_ext_proc_v3_ProcessingResponse>;
  
}

export interface ExternalProcessorHandlers extends grpc.UntypedServiceImplementation {
  Process: grpc.handleBidiStreamingCall<_envoy_service_ext_proc_v3_ProcessingRequest, _envoy_service_ext_proc_v3_ProcessingResponseInput>;
  
}

export interface ExternalProcessorDefinition extends grpc.ServiceDefinition {
  Process: MethodDefinition<_envoy_service_ext_proc_v3_ProcessingRequestInput, _envoy_service_ext_proc_v3_ProcessingResponseInput, _envoy_service_ext_proc_v3_ProcessingRequest, _envoy_service_ext_proc_v3_ProcessingResponse>
}
