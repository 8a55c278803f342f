/** Why the metadata store `name` (a path, or endpoints) cannot be used; the process should say so and end. */
export class StoreCannotOpen extends Error {
  override name = 'StoreCannotOpen';
  constructor(name: string, reason: string, cause?: unknown) {
    super(`the metadata store ${name} cannot be opened: ${reason}`, { cause });
  }
}
