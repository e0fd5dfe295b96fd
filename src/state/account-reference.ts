import { notFound } from "../kernel/errors.ts";

const FOREIGN_KEY_VIOLATION = "23503";

/** Awaits a statement that makes a row of an account; an account that does not exist becomes `not_found`. */
export async function ofAccount<T>(account: string, statement: Promise<T>): Promise<T> {
  try {
    return await statement;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === FOREIGN_KEY_VIOLATION) throw notFound(`Account ${account}`);
    throw error;
  }
}
