// Reads a form with a file, as an engine's HTTP framework does.
import { Refusal } from './refusal.ts'

export interface Upload {
  /** Every field that is a text; of two with one name the last. */
  readonly fields: Readonly<Record<string, string>>
  readonly fileBytes: number | undefined
}

/** @throws Refusal for a body that is no form */
export async function readUpload(bytes: Buffer, contentType: string): Promise<Upload> {
  const fields: Record<string, string> = {}
  let file: File | undefined
  try {
    const form = await new Response(new Uint8Array(bytes), { headers: { 'content-type': contentType } }).formData()
    for (const [name, value] of form) {
      if (typeof value === 'string') fields[name] = value
      else if (name === 'file') file = value
    }
  } catch (cause) {
    throw new Refusal(400, `There was an error parsing the body: ${(cause as Error).message}`)
  }
  return { fields, fileBytes: file?.size }
}
