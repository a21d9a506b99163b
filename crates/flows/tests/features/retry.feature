Feature: Retry

  Scenario: A call is tried again with growing waits and one key
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: grow, version: '1.0.0' }
    do:
      - guarded:
          try:
            - ask: { call: http, with: { method: post, endpoint: https://test.example/flaky, body: { a: 1 } } }
          catch:
            errors: { with: { type: https://serverlessworkflow.io/spec/1.0.0/errors/communication } }
            when: $error.status >= 500
            retry:
              delay: PT2S
              backoff: { exponential: {} }
              limit: { attempt: { count: 3 } }
    """
    And '/flaky' answers '503'
    And '/flaky' answers '500'
    And '/flaky' answers '200':
    """yaml
    ok: true
    """
    When the workflow is executed
    Then the workflow should wait for:
    """yaml
    - { task: /do/0/guarded, for: retry, attempts: 1, error: { status: 503 } }
    """
    When PT2S passes
    Then 2 requests should have been made
    When PT3S passes
    Then 2 requests should have been made
    When PT1S passes
    Then the workflow should complete with output:
    """yaml
    ok: true
    """
    And 3 requests should have been made
    And all requests should carry one key

  Scenario: After the last attempt the error goes on
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: last, version: '1.0.0' }
    do:
      - guarded:
          try:
            - ask: { call: http, with: { method: post, endpoint: https://test.example/flaky, body: { a: 1 } } }
          catch:
            errors: { with: { type: https://serverlessworkflow.io/spec/1.0.0/errors/communication } }
            when: $error.status >= 500
            retry:
              delay: PT2S
              backoff: { exponential: {} }
              limit: { attempt: { count: 3 } }
    """
    And '/flaky' answers '503'
    And '/flaky' answers '503'
    And '/flaky' answers '503'
    And '/flaky' answers '502'
    When the workflow is executed
    When it runs to its end
    Then the workflow should fault with error:
    """yaml
    { status: 502, instance: /do/0/guarded/try/0/ask }
    """
    And 4 requests should have been made

  Scenario: What is not to be caught is not tried again
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: not, version: '1.0.0' }
    do:
      - guarded:
          try:
            - ask: { call: http, with: { method: post, endpoint: https://test.example/flaky, body: { a: 1 } } }
          catch:
            errors: { with: { type: https://serverlessworkflow.io/spec/1.0.0/errors/communication } }
            when: $error.status >= 500
            retry:
              delay: PT2S
              backoff: { exponential: {} }
              limit: { attempt: { count: 3 } }
    """
    And '/flaky' answers '404'
    When the workflow is executed
    Then the workflow should fault with error:
    """yaml
    { status: 404 }
    """
    And 1 requests should have been made

  Scenario: A handler takes over after the last attempt
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: handler, version: '1.0.0' }
    use:
      retries:
        twice: { delay: PT1S, limit: { attempt: { count: 2 } }, jitter: { from: PT0S, to: PT1S } }
    do:
      - guarded:
          try:
            - ask: { call: http, with: { method: get, endpoint: https://test.example/status/500 } }
          catch:
            as: problem
            retry: twice
            do:
              - note: { set: { failed: '${ $problem.status }' } }
    """
    When the workflow is executed
    When it runs to its end
    Then the workflow should complete with output:
    """yaml
    failed: 500
    """
    And 3 requests should have been made

  Scenario: All attempts together may take only so long
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: total, version: '1.0.0' }
    do:
      - guarded:
          try: [ { ask: { call: http, with: { method: get, endpoint: https://test.example/status/500 } } } ]
          catch: { retry: { delay: PT10S, limit: { duration: PT25S } } }
    """
    When the workflow is executed
    When it runs to its end
    Then the workflow should fault
    And 3 requests should have been made

  Scenario: Each attempt may take only so long
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: each, version: '1.0.0' }
    do:
      - guarded:
          try: [ { wait: { listen: { to: { one: { with: { type: a } } } } } } ]
          catch: { retry: { limit: { attempt: { count: 1, duration: PT5S } } } }
    """
    When the workflow is executed
    When PT9S passes
    Then the workflow should still wait
    When PT1S passes
    Then the workflow should fault with error:
    """yaml
    { status: 408 }
    """

  Scenario: A caught error without handler is swallowed
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: swallow, version: '1.0.0' }
    do:
      - guarded:
          try: [ { fail: { raise: { error: { type: https://a.example/x, status: 418 } } } } ]
          catch: { errors: { with: { status: 418 } } }
    """
    And given the workflow input is:
    """yaml
    a: 1
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    a: 1
    """

  Scenario: Calls of different iterations carry different keys
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: keys, version: '1.0.0' }
    do:
      - loop:
          for: { in: '[1, 2, 3]' }
          do: [ { ask: { call: http, with: { method: post, endpoint: https://test.example/echo, body: '${ $item }' } } } ]
    """
    When the workflow is executed
    Then 3 requests should have been made
    And all requests should carry different keys

  Scenario: Calls of a task that is jumped back to carry different keys
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: test, name: laps, version: '1.0.0' }
    do:
      - ask: { call: http, with: { method: post, endpoint: https://test.example/echo, body: 1 }, export: { as: '{ n: (($context.n // 0) + 1) }' } }
      - again: { switch: [ { more: { when: $context.n < 3, then: ask } } ] }
    """
    When the workflow is executed
    Then 3 requests should have been made
    And all requests should carry different keys
