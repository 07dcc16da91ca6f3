// Original file: proto/envoy/service/ext_proc/v3/external_processor.proto


export interface HttpBodyInput {
  'body'?: (Buffer | Uint8Array | string);
  'end_of_stream'?: (boolean);
}

export interface HttpBody {
  'body'?: (Buffer);
  'end_of_stream'?: (boolean);
}
