/**
 * The JSON body of a response, for tests that then look at what is in it.
 */

/** The usual members of an answer from a token endpoint or a backend; each test asserts those it needs. */
export type Answer = {
  readonly access_token: string;
  readonly refresh_token: string;
  readonly expires_in: number;
  readonly error: string;
  readonly error_description: string;
};

/** The body, taken to be what the caller says. */
export async function json<T = Answer>(response: Response): Promise<T> {
  return (await response.json()) as T;
}
