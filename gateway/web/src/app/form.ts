/** What was written into a form. */

/** Returns a field's text; empty where the form has no such field, or the field holds a file. */
export function written(values: FormData, name: string): string {
  const value = values.get(name);
  return typeof value === "string" ? value : "";
}
