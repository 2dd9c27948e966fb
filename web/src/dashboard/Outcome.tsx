/** What was done, or why it was not; said to screen readers too. */
export function Outcome({ notice, problem }: { notice: string; problem: string }) {
  return (
    <>
      <p role="status" className="status" data-notice>
        {notice}
      </p>
      {problem !== "" && (
        <p role="alert" className="status bad">
          {problem}
        </p>
      )}
    </>
  );
}
