/** What a test opened, closed again after its file: Jest calls `cleanUp` by itself (`before-file.ts`), a benchmark calls it at its end. */

type Task = () => unknown

const tasks = new Set<Task>()

/** Registers `task` for the end of the test file. @returns a function that takes it back */
export const onCleanUp = (task: Task): (() => void) => {
  tasks.add(task)
  return () => tasks.delete(task)
}

/** Runs every registered task, the youngest first; a failing one does not keep the others from running. */
export const cleanUp = async (): Promise<void> => {
  const failures: unknown[] = []
  for (const task of [...tasks].reverse()) {
    tasks.delete(task)
    try {
      await task()
    } catch (failure) {
      failures.push(failure)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'clean-up failed')
}
