// Original file: null


export interface BoolValueInput {
  'value'?: (boolean);
}

export interface BoolValue {
  'value'?: (boolean);
}
