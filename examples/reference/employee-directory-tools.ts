/**
 * The six tools of the Employee Directory and the dozen invented people they look up. All of them only look.
 * The table is static, so a policy or a scope list can be made from it without starting anything.
 */
import { z } from 'zod';
import { readOnly, type Tool, toolsOf } from './tool.ts';

export type Employee = {
  readonly id: string;
  readonly name: string;
  readonly title: string;
  readonly department: string;
  readonly email: string;
  readonly managerId: string | null;
};

export const employees: readonly Employee[] = [
  employee('E-001', 'Ingrid Solberg', 'Chief Executive Officer', 'Management', null),
  employee('E-010', 'Tomasz Wilk', 'Chief Financial Officer', 'Finance', 'E-001'),
  employee('E-011', 'Alice Moreau', 'Financial Analyst', 'Finance', 'E-010'),
  employee('E-012', 'Carol Nakamura', 'Internal Auditor', 'Finance', 'E-010'),
  employee('E-020', 'Rahul Verma', 'Head of Engineering', 'Engineering', 'E-001'),
  employee('E-021', 'Bob Achterberg', 'Software Engineer', 'Engineering', 'E-020'),
  employee('E-022', 'Yusra Haddad', 'Site Reliability Engineer', 'Engineering', 'E-020'),
  employee('E-030', 'Lena Fischer', 'Head of People', 'People', 'E-001'),
  employee('E-031', 'Diego Ramos', 'Recruiter', 'People', 'E-030'),
];

const tool = toolsOf<readonly Employee[]>();
const employeeId = z.string().describe('Employee number, e.g. E-011');

export const employeeDirectoryTools: readonly Tool<readonly Employee[]>[] = [
  tool({
    name: 'listEmployees',
    title: 'List employees',
    description: 'Lists all employees, or those of one department.',
    annotations: readOnly,
    inputSchema: z.object({ department: z.string().optional() }),
    run: ({ department }, staff) =>
      staff.filter((person) => department === undefined || person.department === department).map(brief),
  }),
  tool({
    name: 'getEmployee',
    title: 'Get an employee',
    description: 'Returns one employee by number.',
    annotations: readOnly,
    inputSchema: z.object({ employeeId }),
    run: ({ employeeId }, staff) => requireEmployee(staff, employeeId),
  }),
  tool({
    name: 'searchEmployees',
    title: 'Search employees',
    description: 'Finds employees whose name, title or e-mail address contains a text.',
    annotations: readOnly,
    inputSchema: z.object({ query: z.string().min(2).max(100) }),
    run: ({ query }, staff) => {
      const wanted = query.toLowerCase();
      const contains = (person: Employee) =>
        [person.name, person.title, person.email].some((text) => text.toLowerCase().includes(wanted));
      return staff.filter(contains).map(brief);
    },
  }),
  tool({
    name: 'getManager',
    title: 'Get the manager of an employee',
    description: 'Returns whom an employee reports to; null for the head of the company.',
    annotations: readOnly,
    inputSchema: z.object({ employeeId }),
    run: ({ employeeId }, staff) => {
      const { managerId } = requireEmployee(staff, employeeId);
      return managerId === null ? null : requireEmployee(staff, managerId);
    },
  }),
  tool({
    name: 'listDepartments',
    title: 'List departments',
    description: 'Lists the departments and how many people work there.',
    annotations: readOnly,
    inputSchema: z.object({}),
    run: (_args, staff) =>
      [...Map.groupBy(staff, (person) => person.department)].map(([name, people]) => ({ name, size: people.length })),
  }),
  tool({
    name: 'getOrgChart',
    title: 'Get the organization chart',
    description: 'Returns the tree of people below one employee, or below the head of the company.',
    annotations: readOnly,
    inputSchema: z.object({ employeeId: employeeId.optional() }),
    run: ({ employeeId }, staff) =>
      staff
        .filter((person) => (employeeId === undefined ? person.managerId === null : person.id === employeeId))
        .map((person) => chart(person, staff)),
  }),
];

type Chart = { id: string; name: string; title: string; reports: Chart[] };

function chart(person: Employee, staff: readonly Employee[]): Chart {
  const reports = staff.filter((candidate) => candidate.managerId === person.id);
  return { ...brief(person), reports: reports.map((report) => chart(report, staff)) };
}

function brief({ id, name, title }: Employee) {
  return { id, name, title };
}

function employee(id: string, name: string, title: string, department: string, managerId: string | null): Employee {
  return { id, name, title, department, managerId, email: `${name.toLowerCase().replace(' ', '.')}@acme.example` };
}

function requireEmployee(staff: readonly Employee[], id: string): Employee {
  const person = staff.find((candidate) => candidate.id === id);
  if (!person) throw new Error(`There is no employee ${id}.`);
  return person;
}
