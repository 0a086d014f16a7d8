# Кнопки и мелкий текст, общие для страниц.

button-sign-in = Войти
button-sign-in-again = Войти снова
button-sign-in-with = Войти через { $name }
wecom-name = { -wecom }
button-copy = Скопировать ссылку
button-copied = Скопировано
# Below a QR code with the address of this page.
scan = Или отсканируйте этот код в { -wecom } на телефоне.
button-try-again = Попробовать ещё раз
button-start = На главную страницу
button-sign-out = Выйти
button-stay = Остаться в системе
link-password = Войти по паролю
# Эта страница сама перезагружается через несколько секунд.
reloads = Страница сама попробует ещё раз.
# Мелкий текст в конце, для поддержки: как называются код, номер запроса и время.
support = Для администратора
support-code = Код
support-request = Запрос
support-time = Время
# Между формой входа NocoBase и кнопками под ней.
or = или
session-over = Сеанс завершён. Введённые данные ещё здесь, но сохранить их можно будет только после повторного входа.
closed-for-others = Приложение закрыто на техническое обслуживание. Сейчас им могут пользоваться только администраторы.
# The form with which a member whom no account matches links one by its password, once.
account-about = У вас есть учётная запись с паролем в этом приложении? Введите её здесь один раз. После этого вас будет впускать { -wecom }.
account-member = В { -wecom } вы — { $name }
account-name = Имя пользователя или эл. почта
account-password = Пароль
button-link = Привязать и войти
