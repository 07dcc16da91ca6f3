/** What the compiled OPA can be asked, and what it answers: see compiler/request.go. */

interface Sources {
  /** Text by path, read as `opa` reads a folder: paths are relative, the folder of a data file is its path in `data`. */
  readonly files: Readonly<Record<string, string>>;
  /** JSON of OPA's capabilities; all of this OPA's, if absent. */
  readonly capabilities?: unknown;
  /** JSON Schemas by the names that `schema["name"]` has in annotations. */
  readonly schemas?: Readonly<Record<string, unknown>>;
}

export interface BuildRequest extends Sources {
  readonly command: 'build';
  readonly target: 'wasm' | 'rego';
  readonly entrypoints: readonly string[];
  /** Entry points as well, where there is such a rule. */
  readonly optional_entrypoints?: readonly string[];
  readonly revision?: string;
  /** The files are a bundle: `.manifest` counts, and what is in it must lie below its roots. */
  readonly as_bundle?: boolean;
}

/** As `opa check --strict`, and more: see compiler/check.go. */
export interface CheckRequest extends Sources {
  readonly command: 'check';
  /** Which of `schemas` is that of `input`, everywhere but below data.system. */
  readonly input_schema?: string;
  /** Schemas of arguments, by backend and tool; `input_schema` must be given. One without `properties` takes anything. */
  readonly tools?: Readonly<Record<string, Readonly<Record<string, object>>>>;
  /** Built-ins that only tests may use. */
  readonly lacking_builtins?: readonly string[];
  /** What may stand for `reason` in a decision. */
  readonly reasons?: readonly string[];
  /** Rules that must be there. */
  readonly entrypoints?: readonly string[];
}

/** What is written in the heads of rules as the value of an entry point. */
export interface DecisionsRequest extends Sources {
  readonly command: 'decisions';
  readonly entrypoints: readonly string[];
}

export interface TestRequest extends Sources {
  readonly command: 'test';
  /** Regular expression, as Go has them, over `data.package.test_name`. */
  readonly run?: string;
  /** For each test; as `opa test` has it, if absent. */
  readonly timeout_ms?: number;
  readonly coverage?: boolean;
  readonly trace?: boolean;
}

export interface EvalRequest extends Sources {
  readonly command: 'eval';
  readonly query: string;
  readonly input?: unknown;
  readonly trace?: boolean;
  readonly timeout_ms?: number;
}

export type OpaRequest =
  | BuildRequest
  | CheckRequest
  | DecisionsRequest
  | TestRequest
  | EvalRequest
  | { readonly command: 'capabilities' }
  | { readonly command: 'version' };

/** What OPA finds wrong with what it was given. */
export interface OpaProblem {
  /**
   * OPA's own: `rego_parse_error`, `rego_type_error`, …; `error` where it has none. Of a check also `entrypoint_missing`,
   * `reason_unknown`, `value_unknown` and `builtin_missing` (the message is its name), and the warnings `tool_unknown` and `backend_unknown`; of a test
   * `run_invalid`, of an evaluation `timeout`; of a data file that cannot be read `data_invalid`.
   */
  readonly code: string;
  readonly message: string;
  readonly file?: string;
  readonly row?: number;
  readonly col?: number;
  /** Where a name is not one of those that there are. */
  readonly unknown?: {
    readonly ref?: string;
    readonly name: string;
    readonly names: readonly string[];
    /** Of arguments: which tools they are of. */
    readonly of?: string;
  };
}

export interface WrittenDecision {
  readonly entrypoint: string;
  readonly file: string;
  readonly row: number;
  readonly col: number;
  /** Of an object that is written out; `value` is absent where only an evaluation knows it. */
  readonly members?: readonly { readonly name: string; readonly row: number; readonly col: number; readonly value?: unknown }[];
}

/** What a value can be, in OPA's words. */
export interface RegoType {
  readonly type: string;
  /** Of an object: the members that are known. */
  readonly static?: readonly { readonly key: unknown; readonly value: RegoType }[];
  readonly dynamic?: unknown;
  /** Of `any`: one of these. */
  readonly of?: readonly RegoType[];
}

/** Lines of each file that were or were not evaluated. */
export interface CoverageReport {
  readonly files: Readonly<Record<string, { readonly covered?: readonly Lines[]; readonly not_covered?: readonly Lines[] }>>;
  readonly covered_lines: number;
  readonly not_covered_lines: number;
  /** Per cent. */
  readonly coverage: number;
}

interface Lines {
  readonly start: { readonly row: number };
  readonly end: { readonly row: number };
}

export interface TestResult {
  readonly package: string;
  readonly name: string;
  readonly file: string;
  readonly row: number;
  readonly outcome: 'passed' | 'failed' | 'skipped' | 'error';
  /** Of one that failed the expression that does not hold; of an error what OPA says. */
  readonly message?: string;
  /** Of a comparison that does not hold: `left is 1`, `right is 2`. */
  readonly values?: readonly string[];
  /** What `print` said. */
  readonly output?: string;
  readonly trace?: string;
  readonly duration_ns: number;
  /** Of a test with cases (`test_x[name] if …`): those that failed. */
  readonly cases?: readonly FailedCase[];
}

export interface FailedCase {
  readonly name: string;
  readonly row: number;
  readonly message?: string;
  readonly values?: readonly string[];
}

export interface TraceEvent {
  /** `Enter`, `Eval`, `Fail`, `Exit`, `Redo`, … */
  readonly op: string;
  readonly depth: number;
  readonly node: string;
  readonly file?: string;
  readonly row?: number;
  readonly message?: string;
}

export interface OpaResults {
  /** A gzipped tar in Base64, byte for byte what `opa build` writes. */
  readonly build: { readonly bundle: string };
  /** `types` has each entry point. */
  readonly check: {
    readonly modules: number;
    readonly warnings: readonly OpaProblem[];
    readonly types: Readonly<Record<string, RegoType>>;
  };
  readonly decisions: readonly WrittenDecision[];
  readonly test: { readonly tests: readonly TestResult[]; readonly coverage?: CoverageReport };
  /** `value` is absent where the query is undefined. */
  readonly eval: {
    readonly value?: unknown;
    readonly trace?: readonly TraceEvent[];
    readonly coverage?: CoverageReport;
    readonly output?: string;
  };
  readonly capabilities: { readonly builtins: readonly { readonly name: string }[] } & Readonly<Record<string, unknown>>;
  readonly version: { readonly opa: string };
}

export type OpaAnswer<C extends OpaRequest['command']> =
  | { readonly result: OpaResults[C]; readonly errors?: undefined }
  | { readonly errors: readonly OpaProblem[]; readonly result?: undefined };
