/** The paper's tables and figures that can be made again. */
import type { StudyName } from '../facts.js';
import type { Study } from '../study.js';
import { figure10 } from './figure10.js';
import { figure3 } from './figure3.js';
import { figure4 } from './figure4.js';
import { figure9 } from './figure9.js';
import { table3, table4 } from './retrieval.js';
import { table1 } from './table1.js';
import { table2 } from './table2.js';

export const STUDIES: Readonly<Record<StudyName, Study>> = { table1, table2, table3, table4, figure3, figure4, figure9, figure10 };
