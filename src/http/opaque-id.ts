import { z } from "zod";

const OPAQUE_ID_LENGTH_MAX = 128;

/**
 * An id of Weir's own making in a path. Its form is nobody's affair: what is not found does not exist, whatever it looks like, so that a
 * mistyped id is answered as one that is gone.
 */
export const opaqueId = z.string().regex(new RegExp(`^[\\x21-\\x7e]{1,${OPAQUE_ID_LENGTH_MAX}}$`), "is no id");
