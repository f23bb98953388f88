/** A graphics processor in software, from the package of the tests' browser: slow, and the same everywhere. */
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** The environment in which a new process finds it, and no other. */
export async function softwareGpu(): Promise<NodeJS.ProcessEnv> {
  const { default: chromium } = await import('@sparticuz/chromium');
  // Unpacks the browser and, beside it, the driver.
  await chromium.executablePath();
  const driver = path.join(os.tmpdir(), 'vk_swiftshader_icd.json');
  if (!existsSync(driver)) throw new Error(`${driver} is not there: the browser's package holds no driver any more`);
  return { ...process.env, VK_ICD_FILENAMES: driver };
}

/** The environment in which there is none. */
export function noGpu(): NodeJS.ProcessEnv {
  return { ...process.env, VK_ICD_FILENAMES: path.join(os.tmpdir(), 'no-such-driver.json') };
}
