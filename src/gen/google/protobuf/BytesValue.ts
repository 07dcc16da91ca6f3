// Original file: null


export interface BytesValueInput {
  'value'?: (Buffer | Uint8Array | string);
}

export interface BytesValue {
  'value'?: (Buffer);
}
